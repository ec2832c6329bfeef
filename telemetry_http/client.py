"""TelemetryClient: the service from Python, and PanDB's names for it. The only user of httpx."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import orjson

from telemetry_core import Plugins
from telemetry_core.validation import Checker
from telemetry_http import settings
from telemetry_http.decoding import Decoding, make_decoder
from telemetry_http.errors import ServerUnreachableError, TelemetryClientError
from telemetry_http.remote_event import TelemetryEvent

_NOT_FOUND = 404
_KEPT_ALIVE_S = 30.0
_MAX_EVENT_BYTES = 1024 * 1024


class TelemetryClient:
    """
    Talks to a running service; one object may be shared by any number of threads.

    Without arguments it asks the environment (`TELEMETRY_HOST`, `TELEMETRY_PORT`, or the same
    behind `PANOPTES_`), then `localhost:6562`. *timeout* is in seconds. *session* is any object
    with `request(method, url, json=, params=, timeout=)`, for tests. *decode* says what is made of
    the text in `data`: nothing by default, `"units"` restores quantities that were recorded as
    `{"value", "unit"}`, `"panoptes"` follows the rules of the old client.

    Every call raises `ServerUnreachableError`, which is a `ConnectionError`, when no service
    answers, and `TelemetryClientError` when it answers with an error.
    """

    def __init__(  # noqa: PLR0917 - as in the client before this one
        self,
        host: str | None = None,
        port: int | None = None,
        timeout: float = 5.0,
        session: Any = None,
        base_url: str | None = None,
        decode: Decoding | None = None,
    ) -> None:
        if base_url is None:
            name = settings.host() if host is None else host
            shown = f"[{name}]" if ":" in name else name
            base_url = f"http://{shown}:{settings.port() if port is None else port}"
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self._session = session
        self._decode: Callable[[Any], Any] = make_decoder(decode)
        self._lock = threading.Lock()
        self._pool: httpx.Client | None = None
        self._pool_pid = 0
        self._checker: Checker | None = None

    def health(self) -> dict[str, Any]:
        """Return `{"ok": true}` if the service answers at all."""
        return self._ask("GET", "/health")

    def ready(self) -> dict[str, Any]:
        """Return `ready`, `run_active` and `version`; an error says why it cannot record."""
        return self._ask("GET", "/ready")

    def get_run(self) -> dict[str, Any]:
        """Return the active run; an error 404 says that there is none."""
        return self._ask("GET", "/run")

    def start_run(
        self,
        run_dir: str | os.PathLike[str] | None = None,
        run_id: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Start a run and return it; an error 409 says that one is active."""
        body = {
            "run_dir": None if run_dir is None else os.fspath(run_dir),
            "run_id": run_id,
            "meta": dict(meta or {}),
        }
        return self._ask("POST", "/run/start", body)

    def stop_run(self, status: str | None = None, reason: str | None = None) -> dict[str, Any]:
        """Stop the active run and return it; an error 404 says that there is none."""
        body = None if status is None else {"status": status, "reason": reason}
        return self._ask("POST", "/run/stop", body)

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs in the order they were first started."""
        return list(self._ask("GET", "/v1/runs")["runs"])

    def run(self, run_id: str) -> dict[str, Any]:
        """Return the run of that id; an error 404 says that there is none."""
        return self._ask("GET", f"/v1/runs/{quote(run_id, safe='')}")

    def post_event(
        self,
        event_type: str,
        data: Any,
        make_current: bool = True,  # noqa: FBT001, FBT002  # the old client's signature
        meta: Mapping[str, Any] | None = None,
        store_permanently: bool = True,  # noqa: FBT001, FBT002  # likewise
        *,
        ts: str | None = None,
        stream: str | None = None,
        id: str | None = None,  # noqa: A002
    ) -> TelemetryEvent:
        """
        Record an event and return it.

        *data* is any JSON value, or anything the converters of the core know. With an *id* the
        call may be repeated: the event is stored once.

        Raises:
            InvalidEventError: *data* or *meta* has no JSON; nothing was sent.
        """
        body: dict[str, Any] = {
            "type": event_type,
            "data": data,
            "make_current": make_current,
            "store_permanently": store_permanently,
            "meta": dict(meta or {}),
            "ts": ts,
        }
        if stream is not None:
            body["stream"] = stream
        if id is not None:
            body["id"] = id
        return self._event(self._ask("POST", "/event", body, may_repeat=id is not None))

    def current(self) -> dict[str, TelemetryEvent]:
        """Return the latest event of every type."""
        found = self._ask("GET", "/current")["current"]
        return {type_: self._event(values) for type_, values in found.items()}

    def current_event(self, event_type: str) -> TelemetryEvent:
        """Return the latest event of one type; an error 404 says that there is none."""
        return self._event(self._ask("GET", f"/current/{quote(event_type, safe='')}"))

    def shutdown(self) -> dict[str, Any]:
        """Stop the service."""
        return self._ask("POST", "/shutdown")

    def insert_current(
        self,
        collection: str,
        obj: Any,
        store_permanently: bool = True,  # noqa: FBT001, FBT002  # PanDB's signature
    ) -> str:
        """Record *obj* as the current value of *collection* and return its seq as text."""
        event = self.post_event(collection, obj, store_permanently=store_permanently)
        return str(event.seq)

    def insert(self, collection: str, obj: Any) -> str:
        """Record *obj* without making it current, and return its seq as text."""
        return str(self.post_event(collection, obj, make_current=False).seq)

    def get_current(self, collection: str) -> TelemetryEvent | None:
        """Return the current value of *collection*, or `None`."""
        try:
            return self.current_event(collection)
        except TelemetryClientError as error:
            if error.status_code == _NOT_FOUND:
                return None
            raise

    def find(self, collection: str, obj_id: str) -> None:  # noqa: ARG002
        """Return `None`: the history is read with `telemetry_core.open(…, read_only=True)`."""
        warnings.warn(
            "find() answers None over HTTP; read the history with"
            " telemetry_core.open(site_dir, read_only=True).history(types=collection)",
            stacklevel=2,
        )

    def clear_current(self, type: str) -> None:  # noqa: A002
        """Do nothing: the service manages the current values."""

    def close(self) -> None:
        """Let go of the connections; a later call makes new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
            if pool is not None and self._pool_pid == os.getpid():
                pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _event(self, values: Mapping[str, Any]) -> TelemetryEvent:
        return TelemetryEvent(
            seq=values["seq"],
            ts=values["ts"],
            type=values["type"],
            data=self._decode(values["data"]),
            meta=values["meta"],
        )

    def _ask(
        self, method: str, path: str, body: Any = None, *, may_repeat: bool = False
    ) -> dict[str, Any]:
        url = self.base_url + path
        content = None if body is None else self._encode(body)
        if self._session is not None:
            plain = None if content is None else orjson.loads(content)
            return _read(
                self._session.request(method, url, json=plain, params=None, timeout=self.timeout)
            )
        try:
            try:
                return _read(self._send(method, url, content))
            except httpx.RemoteProtocolError:
                # The service closed the idle connection just then. What may have been recorded is
                # not sent again, unless its id makes that safe.
                if method != "GET" and not may_repeat:
                    raise
                return _read(self._send(method, url, content))
        except httpx.TransportError as error:
            raise ServerUnreachableError(self.base_url, str(error) or repr(error)) from error

    def _send(self, method: str, url: str, content: bytes | None) -> httpx.Response:
        headers = {} if content is None else {"Content-Type": "application/json"}
        return self._connections().request(method, url, content=content, headers=headers)

    def _connections(self) -> httpx.Client:
        with self._lock:
            # A forked child must not read the answers its parent waits for.
            if self._pool is None or self._pool_pid != os.getpid():
                self._pool = httpx.Client(
                    timeout=self.timeout,
                    limits=httpx.Limits(keepalive_expiry=_KEPT_ALIVE_S),
                    trust_env=False,
                )
                self._pool_pid = os.getpid()
            return self._pool

    def _encode(self, body: Any) -> bytes:
        if self._checker is None:
            converter = Plugins().make_converter()
            self._checker = Checker(converter, max_event_bytes=_MAX_EVENT_BYTES)
        return self._checker.encode(body, "$")


def _read(answer: Any) -> dict[str, Any]:
    """
    Return the object in an *answer*.

    Raises:
        TelemetryClientError: It is an error, or no object.
    """
    try:
        found = answer.json()
    except ValueError:
        found = None
    if answer.status_code < 400 and isinstance(found, dict):  # noqa: PLR2004
        return found
    detail = found.get("detail") if isinstance(found, dict) else None
    raise TelemetryClientError(answer.status_code, str(detail or answer.text[:200] or "no detail"))
