"""The client of the service: one object and its connections, for all threads of a program."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self
from urllib.parse import quote, urlencode

import orjson

from telemetry_core import Draft
from telemetry_core.clock import Clock, system_clock
from telemetry_http import settings
from telemetry_http.decoding import Decoding, make_decoder
from telemetry_http.encoding import encoded, encoded_draft, stamp
from telemetry_http.errors import ServerUnreachableError, TelemetryClientError
from telemetry_http.following import OnRun, follow
from telemetry_http.remote_event import TelemetryEvent
from telemetry_http.reports import BatchReport, added_up, report_of

if TYPE_CHECKING:
    import httpx
    from httpx_sse import ServerSentEvent

KEEPALIVE_EXPIRY_S = 4.0
"""Shorter than the 5 s after which ASGI servers close an idle connection unless told otherwise."""

_NOT_FOUND = 404
_MAY_PASS = range(500, 600)
_BLOCK_EVENTS = 1000
_PAGE_EVENTS = 1000
_SILENCE_S = 45.0


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
    posted, so simulated time is given here.

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
    ) -> None:
        self.base_url = (base_url or _url_of(host, port)).rstrip("/")
        if not self.base_url.lower().startswith(("http://", "https://")):
            raise ValueError(f"{self.base_url!r} is no URL of a service; use 'http://host:port'")
        self.timeout = timeout
        self._session = session
        self._decode = make_decoder(decode)
        self._clock = clock
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
        *,
        on_conflict: str | None = None,
        lease_s: float | None = None,
    ) -> dict[str, Any]:
        """
        Start a run and return it; an error of status 409 when one is active.

        The service resolves a relative *run_dir* under its site directory, takes its last part as
        the id when no *run_id* is given, and the next free number without both. *on_conflict* says
        otherwise what happens while one is active: `stop` stops that one, `join` returns it if it
        is the one that is meant. With *lease_s* it ends as `lost` when there is no `heartbeat` for
        so many seconds.

        Raises:
            InvalidEventError: *meta* cannot be expressed in JSON; nothing was sent.
        """
        given = dict(meta or {})
        if run_id is not None:
            given["run_id"] = run_id
        body: dict[str, Any] = {
            "run_dir": None if run_dir is None else os.fspath(run_dir),
            "run_id": run_id,
            "meta": given,
        }
        path = "/run/start"
        more = {"on_conflict": on_conflict, "lease_s": lease_s}
        if more != {"on_conflict": None, "lease_s": None}:
            path = "/v1/runs"
            body |= {name: value for name, value in more.items() if value is not None}
        return self._ask("POST", path, encoded(body))

    def heartbeat(self, run_id: str) -> float | None:
        """
        Say that the owner of the active run is there; an error of status 404 when it is not active.

        Return the seconds within which to say it again, `None` for a run that needs no heartbeat.
        """
        answer = self._ask("POST", f"/v1/runs/{_quote(run_id)}/heartbeat")
        lease_s = answer.get("lease_s")
        return None if lease_s is None else float(lease_s)

    def stop_run(self, status: str | None = None, reason: str | None = None) -> dict[str, Any]:
        """
        Stop the active run and return it; an error of status 404 when there is none.

        *status* is `completed` (the default), `failed`, `aborted` or `lost`.
        """
        given = {"status": status, "reason": reason}
        body = {name: value for name, value in given.items() if value is not None}
        return self._ask("POST", "/run/stop", encoded(body) if body else None)

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
        draft = Draft(
            event_type,
            data,
            ts=ts,
            meta=meta,
            make_current=make_current,
            store_permanently=store_permanently,
            stream=stream,
            id=id,
        )
        body = encoded_draft(draft, self._clock)
        return self._event_of(self._ask("POST", "/event", body, is_repeatable=id is not None))

    def post_events(self, events: Iterable[Draft]) -> BatchReport:
        """
        Record *events*, however many, and return what became of them.

        They are sent in blocks of up to a thousand, so that neither side has to hold them all. One
        that the service refuses costs the others nothing; the report names its place among
        *events*, from 1 on. If all of a block have ids, a connection that breaks is tried once
        more; after another error the events of the blocks before stay recorded.

        Raises:
            InvalidEventError: One cannot be expressed in JSON; nothing of its block was sent.
        """
        reports = []
        given = iter(events)
        while block := list(itertools.islice(given, _BLOCK_EVENTS)):
            lines = [encoded_draft(draft, self._clock) for draft in block]
            has_ids = all(draft.id is not None for draft in block)
            reports.append((len(lines), self._post_block(lines, is_repeatable=has_ids)))
        return added_up(reports)

    def _post_block(self, lines: list[bytes], *, is_repeatable: bool) -> BatchReport:
        if self._session is None:
            body, media_type = b"\n".join(lines), "application/x-ndjson"
        else:  # it is handed JSON values
            body, media_type = b"[%b]" % b",".join(lines), "application/json"
        response = self._send(
            "POST", "/v1/events", body, is_repeatable=is_repeatable, media_type=media_type
        )
        answer = _json_of(response)
        if response.status_code not in (200, 422) or not isinstance(answer, dict):
            raise _error_of(response, answer)
        try:
            return report_of(answer)
        except (KeyError, TypeError):
            raise _error_of(response, answer) from None

    def current(self, *, at: str | datetime | None = None) -> dict[str, TelemetryEvent]:
        """Return the latest event of each type, now or as it was at the past moment *at*."""
        path = "/current" if at is None else f"/v1/current?at={_quote(stamp(at, self._clock))}"
        answer = self._ask("GET", path)
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

    def find(self, collection: str, obj_id: str) -> TelemetryEvent | None:
        """Return the event of that id from the history of *collection*, or `None`."""
        try:
            event = self._event_of(self._ask("GET", f"/v1/events/{_quote(obj_id)}"))
        except TelemetryClientError as error:
            if error.status_code != _NOT_FOUND:
                raise
            return None
        return event if event.type == collection else None

    def history(
        self,
        *,
        types: str | Sequence[str] = (),
        run: str | None = None,
        stream: str | None = None,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        after: int = 0,
        limit: int | None = None,
        last: int | None = None,
    ) -> Iterator[TelemetryEvent]:
        """
        Yield stored events in ascending seq, chosen as `Recorder.history` chooses them.

        They are asked for in pages, each when it is wanted, so that neither side has to hold them
        all, and what is recorded meanwhile is yielded, too.
        """
        chosen = {
            "type": (types,) if isinstance(types, str) else tuple(types),
            "run": run,
            "stream": stream,
            "from": None if since is None else stamp(since, self._clock),
            "to": None if until is None else stamp(until, self._clock),
        }
        left = limit if last is None else last
        narrowed: dict[str, Any] = {"after": after, "limit": limit, "last": last}
        while left is None or left > 0:
            if last is None:
                narrowed["limit"] = _PAGE_EVENTS if left is None else min(left, _PAGE_EVENTS)
            page = self._ask("GET", f"/v1/events?{_query_of({**chosen, **narrowed})}")
            try:
                events, next_after = list(page["events"]), page["next_after"]
            except (KeyError, TypeError):
                self._reject(page)
            for event in events[:left]:
                yield self._event_of(event)
            if next_after is None:
                return
            left = None if left is None else left - len(events)
            last, narrowed = None, {"after": next_after}

    def stream(
        self,
        *,
        types: str | Sequence[str] = (),
        run: str | None = None,
        stream: str | None = None,
        after: int | None = None,
        on_run: OnRun | None = None,
    ) -> Iterator[TelemetryEvent]:
        """
        Yield events as they are recorded, from behind the seq *after* or from now on, for ever.

        When the connection breaks it is made again, as often as it takes, and goes on behind the
        last event that was seen: nothing is missed and nothing comes twice. *on_run* is called
        with `started` or `stopped` and the run, and after each connection with `active` and the
        run, or `none` and `None`.

        Raises:
            LaggedError: What was to come next was removed to make room.
            ServerUnreachableError: No service answered the first time.
        """
        chosen = {"type": (types,) if isinstance(types, str) else types, "run": run}
        url = f"{self.base_url}/v1/stream?{_query_of({**chosen, 'stream': stream})}"
        for envelope in follow(partial(self._connected, url), after, on_run):
            yield self._event_of(envelope)

    def _connected(self, url: str, cursor: int | None) -> Iterator[ServerSentEvent]:
        """Yield what comes over one connection, until it ends."""
        import httpx
        import httpx_sse

        headers = {} if cursor is None else {"Last-Event-ID": str(cursor)}
        # The service breaks its silence more often than that.
        timeout = httpx.Timeout(self.timeout, read=_SILENCE_S)
        try:
            with httpx_sse.connect_sse(
                self._pool(), "GET", url, headers=headers, timeout=timeout
            ) as source:
                response = source.response
                if response.status_code in _MAY_PASS:
                    raise ServerUnreachableError(self.base_url, f"status {response.status_code}")
                if response.status_code != 200:  # noqa: PLR2004
                    response.read()
                    raise _error_of(response, _json_of(response))
                yield from source.iter_sse()
        except (httpx.RequestError, httpx.InvalidURL, OSError, UnicodeError) as error:
            if isinstance(error, ServerUnreachableError):
                raise
            reason = _reason_of(error, self.timeout, changes=False)
            raise ServerUnreachableError(self.base_url, reason) from error

    def clear_current(self, record_type: str) -> None:
        """Do nothing: what is current belongs to the service and its other clients, too."""

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
        answer = _json_of(response)
        if not 200 <= response.status_code < 300:  # noqa: PLR2004 - the successful ones
            raise _error_of(response, answer)
        if not isinstance(answer, dict):
            self._reject(response.text)
        return answer

    def _reject(self, answer: object) -> NoReturn:
        detail = f"{answer!r:.200} is no answer of a telemetry service; check {self.base_url!r}"
        raise TelemetryClientError(200, detail) from None

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        *,
        is_repeatable: bool,
        media_type: str = "application/json",
    ) -> Response:
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
                return self._send_pooled(method, path, body, media_type)
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                # Most often the server closed an idle connection just as it was to be used again.
                if not is_repeatable:
                    raise
                return self._send_pooled(method, path, body, media_type)
        except (httpx.RequestError, httpx.InvalidURL, OSError, UnicodeError) as error:
            # UnicodeError is what the resolver says to a host name that cannot be one.
            reason = _reason_of(error, self.timeout, changes=method != "GET")
            raise ServerUnreachableError(self.base_url, reason) from error

    def _send_pooled(
        self, method: str, path: str, body: bytes | None, media_type: str
    ) -> httpx.Response:
        return self._pool().request(
            method,
            self.base_url + path,
            content=body,
            headers=None if body is None else {"content-type": media_type},
            timeout=self.timeout,
        )

    def _pool(self) -> httpx.Client:
        pid = os.getpid()
        pool = self._pools.get(pid)
        if pool is None:
            made = _make_pool(self.base_url)
            pool = self._pools.setdefault(pid, made)
            if pool is not made:
                made.close()
        return pool


def _make_pool(base_url: str) -> httpx.Client:
    import httpx

    transport = httpx.HTTPTransport(
        # Reading the certificates takes longer than a hundred requests, and http has none.
        verify=base_url.lower().startswith("https:"),
        limits=httpx.Limits(max_connections=None, keepalive_expiry=KEEPALIVE_EXPIRY_S),
    )
    # A transport of our own is never replaced by a proxy that the environment names.
    return httpx.Client(transport=transport)


def _url_of(host: str | None, port: int | str | None) -> str:
    host = host or settings.host()
    port = int(port or settings.port())
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _quote(name: str) -> str:
    """Return *name* as one segment of a path."""
    # A `..` left as it is would be taken for a step up.
    return name.replace(".", "%2E") if name in (".", "..") else quote(name, safe="")


def _query_of(values: Mapping[str, Any]) -> str:
    return urlencode({name: value for name, value in values.items() if value is not None}, True)  # noqa: FBT003  # urlencode's own


def _json_of(response: Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


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
