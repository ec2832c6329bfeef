"""The client of the service: one object and its connections, for all threads of a program."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Self
from urllib.parse import quote, urlencode

from telemetry_core import Draft
from telemetry_core.clock import Clock, system_clock
from telemetry_http import settings
from telemetry_http.connections import Connections, Session, error_of, json_of
from telemetry_http.decoding import Decoding, make_decoder
from telemetry_http.encoding import encoded, encoded_draft, stamp
from telemetry_http.errors import TelemetryClientError
from telemetry_http.following import OnRun, follow
from telemetry_http.remote_event import TelemetryEvent
from telemetry_http.reports import BatchReport, added_up, report_of

_NOT_FOUND = 404
_BLOCK_EVENTS = 1000
_PAGE_EVENTS = 1000


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
    With *session* that object sends the requests, with the token, and is not closed.

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
        self._decode = make_decoder(decode)
        self._clock = clock
        self._connections = Connections(
            self.base_url,
            timeout=timeout,
            token=settings.token() if token is None else token,
            session=session,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def timeout(self) -> float | None:
        """How many seconds a connection, and each wait for an answer, may take."""
        return self._connections.timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._connections.timeout = seconds

    def close(self) -> None:
        """Close the connections once no thread waits for an answer; a later call makes new ones."""
        self._connections.close()

    def health(self) -> dict[str, Any]:
        """Return `{"ok": True}`: the service answers."""
        return self._connections.ask("GET", "/health")

    def ready(self) -> dict[str, Any]:
        """Return `ready`, `run_active`, `version`; an error of status 503 when it cannot write."""
        return self._connections.ask("GET", "/ready")

    def shutdown(self) -> dict[str, Any]:
        """Ask the service to end, which only a program on its own machine may."""
        return self._connections.ask("POST", "/shutdown")

    def get_run(self) -> dict[str, Any]:
        """Return the active run; an error of status 404 when there is none."""
        return self._connections.ask("GET", "/run")

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
        return self._connections.ask("POST", path, encoded(body))

    def heartbeat(self, run_id: str) -> float | None:
        """
        Say that the owner of the active run is there; an error of status 404 when it is not active.

        Return the seconds within which to say it again, `None` for a run that needs no heartbeat.
        """
        answer = self._connections.ask("POST", f"/v1/runs/{_quote(run_id)}/heartbeat")
        lease_s = answer.get("lease_s")
        return None if lease_s is None else float(lease_s)

    def stop_run(self, status: str | None = None, reason: str | None = None) -> dict[str, Any]:
        """
        Stop the active run and return it; an error of status 404 when there is none.

        *status* is `completed` (the default), `failed`, `aborted` or `lost`.
        """
        given = {"status": status, "reason": reason}
        body = {name: value for name, value in given.items() if value is not None}
        return self._connections.ask("POST", "/run/stop", encoded(body) if body else None)

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs of the site, in the order in which they first started."""
        answer = self._connections.ask("GET", "/v1/runs")
        try:
            return list(answer["runs"])
        except (KeyError, TypeError):
            self._connections.reject(answer)

    def run(self, run_id: str) -> dict[str, Any]:
        """Return one run, active or not; an error of status 404 when there is none of that id."""
        return self._connections.ask("GET", f"/v1/runs/{_quote(run_id)}")

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
        return self._event_of(
            self._connections.ask("POST", "/event", body, is_repeatable=id is not None)
        )

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
            lines = [encoded_draft(draft, self._clock, is_brief=True) for draft in block]
            has_ids = all(draft.id is not None for draft in block)
            reports.append((len(lines), self._post_block(lines, is_repeatable=has_ids)))
        return added_up(reports)

    def _post_block(self, lines: list[bytes], *, is_repeatable: bool) -> BatchReport:
        if self._connections.session is None:
            body, media_type = b"\n".join(lines), "application/x-ndjson"
        else:  # it is handed JSON values
            body, media_type = b"[%b]" % b",".join(lines), "application/json"
        response = self._connections.send(
            "POST", "/v1/events", body, is_repeatable=is_repeatable, media_type=media_type
        )
        answer = json_of(response)
        if response.status_code not in (200, 422) or not isinstance(answer, dict):
            raise error_of(response, answer)
        try:
            return report_of(answer)
        except (KeyError, TypeError):
            raise error_of(response, answer) from None

    def current(self, *, at: str | datetime | None = None) -> dict[str, TelemetryEvent]:
        """Return the latest event of each type, now or as it was at the past moment *at*."""
        path = "/current" if at is None else f"/v1/current?at={_quote(stamp(at, self._clock))}"
        answer = self._connections.ask("GET", path)
        try:
            events = dict(answer["current"])
        except (KeyError, TypeError, ValueError):
            self._connections.reject(answer)
        return {event_type: self._event_of(event) for event_type, event in events.items()}

    def current_event(self, event_type: str) -> TelemetryEvent:
        """Return the latest event of one type; an error of status 404 when there is none."""
        return self._event_of(self._connections.ask("GET", f"/current/{_quote(event_type)}"))

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
            event = self._event_of(self._connections.ask("GET", f"/v1/events/{_quote(obj_id)}"))
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
            page = self._connections.ask("GET", f"/v1/events?{_query_of({**chosen, **narrowed})}")
            try:
                events, next_after = list(page["events"]), page["next_after"]
            except (KeyError, TypeError):
                self._connections.reject(page)
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
        path = f"/v1/stream?{_query_of({**chosen, 'stream': stream})}"
        for envelope in follow(partial(self._connections.events, path), after, on_run):
            yield self._event_of(envelope)

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
            self._connections.reject(envelope)


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
