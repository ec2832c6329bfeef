"""The client of the service: one object and its connections, for all threads of a program."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self
from urllib.parse import quote

import orjson

from telemetry_core import InvalidEventError, Plugins, Problem
from telemetry_core.clock import Clock, format_ts, system_clock, ts_of
from telemetry_core.validation import Checker
from telemetry_http import settings
from telemetry_http.decoding import Decoding, make_decoder
from telemetry_http.errors import ServerUnreachableError, TelemetryClientError
from telemetry_http.remote_event import TelemetryEvent

if TYPE_CHECKING:
    import httpx

KEEPALIVE_EXPIRY_S = 4.0
"""Shorter than the 5 s after which ASGI servers close an idle connection unless told otherwise."""

_UNLIMITED = 2**62
_NOT_FOUND = 404


class Response(Protocol):
    """What a session gives back: as much of a response of requests or httpx as is read here."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""

    @property
    def text(self) -> str:
        """The body as text."""

    def json(self) -> Any:
        """Return the body read as JSON, or raise ValueError."""


class Session(Protocol):
    """What can be given to send the requests: a `requests.Session`, a test client, a fake."""

    def request(
        self, method: str, url: str, *, json: Any, params: Any, timeout: float | None
    ) -> Response:
        """Send one request and return the response to it."""


class TelemetryClient:
    """
    A telemetry service somewhere else, with the methods of a recorder and of PanDB.

    The service is at *base_url*, or at *host* and *port*, or where the environment says
    (`TELEMETRY_HOST`, `TELEMETRY_PORT`), or on port 6562 of this machine. Connecting, sending and
    each wait for the answer may take *timeout* seconds. *decode* says what the `data` of the
    events becomes: see `make_decoder`. Events carry the time of *clock* at the moment they are
    posted, so simulated time is given here. *token*, else `TELEMETRY_TOKEN`, is shown to a service
    that asks for one.

    May be used by any number of threads, which share kept-alive connections, and after a fork,
    when the child makes connections of its own. Proxies that the environment names are not used.
    With *session* that object sends the requests, and is not closed.

    Every method that asks the service raises `TelemetryClientError` when it answers with an error,
    and `ServerUnreachableError`, which is a `ConnectionError`, when there is no service or no
    answer in time; the latter says whether what was asked may have been done.

    Raises:
        ValueError: *base_url* is no URL, the port no number, or *decode* no decoding.
        ImportError: *decode* needs astropy, which is not installed.
    """

    def __init__(  # noqa: PLR0917 - as in the client before this one
        self,
        host: str | None = None,
        port: int | str | None = None,
        timeout: float | None = 5.0,
        session: Session | None = None,
        base_url: str | None = None,
        decode: Decoding | None = None,
        *,
        clock: Clock = system_clock,
        token: str | None = None,
    ) -> None:
        self.base_url = (base_url or _url_of(host, port)).rstrip("/")
        if not self.base_url.lower().startswith(("http://", "https://")):
            raise ValueError(f"{self.base_url!r} is no URL of a service; use 'http://host:port'")
        self.timeout = timeout
        self._session = session
        self._decode = make_decoder(decode)
        self._clock = clock
        self._token = settings.token() if token is None else token
        # By process, and filled by one atomic call instead of under a lock: a thread of the
        # parent may hold a lock at the moment of the fork, and nobody would ever release it.
        self._pools: dict[int, httpx.Client] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pools": {}}

    def close(self) -> None:
        """Close the connections once no thread waits for an answer; a later call makes new ones."""
        pool = self._pools.pop(os.getpid(), None)
        if pool is not None:
            pool.close()

    def health(self) -> dict[str, Any]:
        """Return `{"ok": True}`: the service answers."""
        return self._ask("GET", "/health")

    def ready(self) -> dict[str, Any]:
        """Return `ready`, `run_active`, `version`; an error of status 503 when it cannot write."""
        return self._ask("GET", "/ready")

    def shutdown(self) -> dict[str, Any]:
        """Ask the service to end, which only a program on its own machine may."""
        return self._ask("POST", "/shutdown")

    def get_run(self) -> dict[str, Any]:
        """Return the active run; an error of status 404 when there is none."""
        return self._ask("GET", "/run")

    def start_run(
        self,
        run_dir: str | os.PathLike[str] | None = None,
        run_id: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """
        Start a run and return it; an error of status 409 when one is active.

        The service resolves a relative *run_dir* under its site directory, takes its last part as
        the id when no *run_id* is given, and the next free number without both.

        Raises:
            InvalidEventError: *meta* cannot be expressed in JSON; nothing was sent.
        """
        given = dict(meta or {})
        if run_id is not None:
            given["run_id"] = run_id
        body = {
            "run_dir": None if run_dir is None else os.fspath(run_dir),
            "run_id": run_id,
            "meta": given,
        }
        return self._ask("POST", "/run/start", _checker().encode(body, "$"))

    def stop_run(self, status: str | None = None, reason: str | None = None) -> dict[str, Any]:
        """
        Stop the active run and return it; an error of status 404 when there is none.

        *status* is `completed` (the default), `failed`, `aborted` or `lost`.
        """
        given = {"status": status, "reason": reason}
        body = {name: value for name, value in given.items() if value is not None}
        return self._ask("POST", "/run/stop", _checker().encode(body, "$") if body else None)

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs of the site, in the order in which they first started."""
        answer = self._ask("GET", "/v1/runs")
        try:
            return list(answer["runs"])
        except (KeyError, TypeError):
            self._reject(answer)

    def run(self, run_id: str) -> dict[str, Any]:
        """Return one run, active or not; an error of status 404 when there is none of that id."""
        return self._ask("GET", f"/v1/runs/{_quote(run_id)}")

    def post_event(
        self,
        event_type: str,
        data: Any,
        make_current: bool = True,  # noqa: FBT001, FBT002 - as in the client before this one
        meta: Mapping[str, Any] | None = None,
        store_permanently: bool = True,  # noqa: FBT001, FBT002
        *,
        ts: str | datetime | None = None,
        stream: str | None = None,
        id: str | None = None,  # noqa: A002
    ) -> TelemetryEvent:
        """
        Record an event and return it as it was recorded.

        *data* is any JSON value, or holds what the converters know: numpy, datetime, Path, Quantity
        and more. *ts* is when it happened, as RFC 3339 or an aware datetime: now, if it is not
        given. `stream="site"` keeps it out of the active run. An event with an *id* is stored once
        however often it is sent, so a connection that breaks is tried once more; without an *id*
        nothing is ever sent twice.

        Raises:
            InvalidEventError: It cannot be expressed in JSON; nothing was sent.
        """
        checker = _checker()
        data_json = checker.encode(data, "$.data")
        meta_json = checker.encode({} if meta is None else meta, "$.meta")
        rest = {
            "type": event_type,
            "make_current": make_current,
            "store_permanently": store_permanently,
            "ts": self._stamp(ts),
            **({} if stream is None else {"stream": stream}),
            **({} if id is None else {"id": id}),
        }
        # Spliced, because data and meta are JSON already and may nest as deep as is allowed.
        head = checker.encode(rest, "$")[:-1]
        body = b'%b,"data":%b,"meta":%b}' % (head, data_json, meta_json)
        return self._event_of(self._ask("POST", "/event", body, is_repeatable=id is not None))

    def current(self) -> dict[str, TelemetryEvent]:
        """Return the latest event of each type."""
        answer = self._ask("GET", "/current")
        try:
            events = dict(answer["current"])
        except (KeyError, TypeError, ValueError):
            self._reject(answer)
        return {event_type: self._event_of(event) for event_type, event in events.items()}

    def current_event(self, event_type: str) -> TelemetryEvent:
        """Return the latest event of one type; an error of status 404 when there is none."""
        return self._event_of(self._ask("GET", f"/current/{_quote(event_type)}"))

    def insert_current(
        self,
        collection: str,
        obj: Any,
        store_permanently: bool = True,  # noqa: FBT001, FBT002 - as in PanDB
    ) -> str:
        """
        Record *obj* as the current event of the type *collection* and return its seq as text.

        Raises:
            InvalidEventError: It cannot be expressed in JSON; nothing was sent.
        """
        return str(self.post_event(collection, obj, store_permanently=store_permanently).seq)

    def insert(self, collection: str, obj: Any) -> str:
        """
        Record *obj* without touching what is current and return its seq as text.

        Raises:
            InvalidEventError: It cannot be expressed in JSON; nothing was sent.
        """
        return str(self.post_event(collection, obj, make_current=False).seq)

    def get_current(self, collection: str) -> TelemetryEvent | None:
        """Return the latest event of the type *collection*, or `None` when there is none."""
        try:
            return self.current_event(collection)
        except TelemetryClientError as error:
            if error.status_code != _NOT_FOUND:
                raise
            return None

    def find(self, collection: str, obj_id: str) -> None:
        """Return `None` and warn: what was recorded is read from the storage, not from here."""
        warnings.warn(
            f"find({collection!r}, {obj_id!r}) finds nothing; read the history where the files"
            f" are: telemetry_core.open(site_dir, read_only=True).history(types={collection!r})",
            stacklevel=2,
        )

    def clear_current(self, record_type: str) -> None:
        """Do nothing: what is current belongs to the service and its other clients, too."""

    def _stamp(self, ts: str | datetime | None) -> str:
        if ts is None:
            return format_ts(self._clock())
        if not isinstance(ts, datetime):
            return ts
        try:
            return ts_of(ts)
        except ValueError as error:
            raise InvalidEventError([Problem("$.ts", str(error))]) from None

    def _event_of(self, envelope: Any) -> TelemetryEvent:
        try:
            return TelemetryEvent(
                seq=envelope["seq"],
                ts=envelope["ts"],
                type=envelope["type"],
                data=self._decode(envelope["data"]),
                meta=envelope["meta"],
            )
        except (KeyError, TypeError):
            self._reject(envelope)

    def _ask(
        self, method: str, path: str, body: bytes | None = None, *, is_repeatable: bool = False
    ) -> dict[str, Any]:
        """Send a request and return the object that answers it."""
        response = self._send(method, path, body, is_repeatable=is_repeatable or method == "GET")
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not 200 <= response.status_code < 300:  # noqa: PLR2004 - the successful ones
            raise _error_of(response, answer)
        if not isinstance(answer, dict):
            self._reject(response.text)
        return answer

    def _reject(self, answer: object) -> NoReturn:
        detail = f"{answer!r:.200} is no answer of a telemetry service; check {self.base_url!r}"
        raise TelemetryClientError(200, detail) from None

    def _send(self, method: str, path: str, body: bytes | None, *, is_repeatable: bool) -> Response:
        import httpx

        try:
            if self._session is not None:
                return self._session.request(
                    method,
                    self.base_url + path,
                    json=None if body is None else orjson.loads(body),
                    params=None,
                    timeout=self.timeout,
                )
            try:
                return self._send_pooled(method, path, body)
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                # Most often the server closed an idle connection just as it was to be used again.
                if not is_repeatable:
                    raise
                return self._send_pooled(method, path, body)
        except (httpx.RequestError, httpx.InvalidURL, OSError, UnicodeError) as error:
            # UnicodeError is what the resolver says to a host name that cannot be one.
            reason = _reason_of(error, self.timeout, changes=method != "GET")
            raise ServerUnreachableError(self.base_url, reason) from error

    def _send_pooled(self, method: str, path: str, body: bytes | None) -> httpx.Response:
        pid = os.getpid()
        pool = self._pools.get(pid)
        if pool is None:
            made = _make_pool(self.base_url, self._token)
            pool = self._pools.setdefault(pid, made)
            if pool is not made:
                made.close()
        return pool.request(
            method,
            self.base_url + path,
            content=body,
            headers=None if body is None else {"content-type": "application/json"},
            timeout=self.timeout,
        )


@cache
def _checker() -> Checker:
    """Return what makes JSON here; how large an event may be is for the service to say."""
    return Checker(Plugins().make_converter(), max_event_bytes=_UNLIMITED)


def _make_pool(base_url: str, token: str) -> httpx.Client:
    import httpx

    transport = httpx.HTTPTransport(
        # Reading the certificates takes longer than a hundred requests, and http has none.
        verify=base_url.lower().startswith("https:"),
        limits=httpx.Limits(max_connections=None, keepalive_expiry=KEEPALIVE_EXPIRY_S),
    )
    # A transport of our own is never replaced by a proxy that the environment names.
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(transport=transport, headers=headers)


def _url_of(host: str | None, port: int | str | None) -> str:
    host = host or settings.host()
    port = int(port or settings.port())
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _quote(name: str) -> str:
    """Return *name* as one segment of a path."""
    # A `..` left as it is would be taken for a step up.
    return name.replace(".", "%2E") if name in (".", "..") else quote(name, safe="")


def _error_of(response: Response, answer: Any) -> TelemetryClientError:
    detail = answer.get("detail") if isinstance(answer, dict) else None
    return TelemetryClientError(response.status_code, str(detail or response.text[:200]))


def _reason_of(error: Exception, timeout: float | None, *, changes: bool) -> str:
    """Return why there is no answer, and whether what was to be changed may be so."""
    import httpx

    if isinstance(error, (httpx.ConnectTimeout, httpx.PoolTimeout)):
        return f"no connection within {timeout} s"
    if isinstance(error, (httpx.ConnectError, httpx.InvalidURL, UnicodeError)):
        return str(error)
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        reason = f"no answer within {timeout} s"
    else:
        reason = str(error) or type(error).__name__
    return f"{reason}, and what was asked may have been done" if changes else reason
