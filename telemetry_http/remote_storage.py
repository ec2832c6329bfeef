"""A running service as a storage to read from: `telemetry copy http://observatory:6562 backup`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from attrs import frozen

from telemetry_core import (
    EVERYTHING,
    Capabilities,
    CheckedDraft,
    Event,
    Run,
    Selection,
    Snapshot,
    Storage,
    StorageClosedError,
    StorageReadOnlyError,
    StorageType,
    StorageUnavailableError,
    UnsupportedError,
)
from telemetry_http.errors import ServerUnreachableError, TelemetryClientError

if TYPE_CHECKING:
    from telemetry_http.client import TelemetryClient
    from telemetry_http.remote_event import TelemetryEvent

_POLL_S = 0.5
_RUN_FACTS = (
    "run_id",
    "started_at",
    "stopped_at",
    "status",
    "reason",
    "meta",
    "events",
    "first_seq",
    "last_seq",
)
"""All but the directory, which is a place on the machine of the service."""


@frozen(kw_only=True)
class ServiceSettings:
    """Where the service is, and how many seconds it may take to answer."""

    url: str
    read_only: bool = False
    timeout_s: float = 30.0


def service_storage(scheme: str) -> StorageType:
    """Return the kind of storage that is a service at URLs of that *scheme*."""
    return StorageType(
        scheme=scheme,
        summary="a running service, to read from",
        settings=ServiceSettings,
        open=ServiceStorage,
    )


class ServiceStorage(Storage):
    """
    The site behind a service, read through its routes with the token of the environment.

    An answer holds the five keys of an event. So an event has no `id` here, and says that it is to
    be current only if it is so at the moment. What is asked from several threads at once is fine.

    Raises:
        UnsupportedError: It was not opened read-only; programs record with a `TelemetryClient`.
        StorageUnavailableError: The URL is none of a service.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        from telemetry_http.client import TelemetryClient

        self._url = settings.url
        if not settings.read_only:
            ability = "be opened to be written; open it read-only, record with a TelemetryClient"
            raise UnsupportedError(self._url, ability)
        try:
            self._client: TelemetryClient | None = TelemetryClient(
                base_url=self._url, timeout=settings.timeout_s
            )
        except ValueError as error:
            raise StorageUnavailableError(self._url, str(error)) from None

    @property
    def capabilities(self) -> Capabilities:
        """What a service lets its readers know."""
        return Capabilities(keeps_ephemeral=True, complete_events=False)

    def read(self, selection: Selection = EVERYTHING) -> Iterator[Event]:
        """Yield what is selected, in pages, up to what was the last seq when it was asked for."""
        with self._asking() as client:
            through, current = _now(client)
            is_current = {event.seq for event in current.values()}
            for event in client.history(
                types=selection.types,
                run=selection.run,
                stream=selection.stream,
                since=selection.since,
                until=selection.until,
                after=selection.after,
                limit=selection.limit,
                last=selection.last,
            ):
                if event.seq > through and selection.last is None:
                    return
                yield _event_of(event, make_current=event.seq in is_current)

    def current(self) -> Snapshot:
        """Return what is current; what the history does not have is ephemeral."""
        with self._asking() as client:
            through, current = _now(client)
            events = {
                event.type: _event_of(event, store_permanently=_is_stored(client, event))
                for event in current.values()
            }
        return Snapshot(through, events)

    def runs(self) -> Iterator[Run]:
        """Yield every run, without its directory."""
        with self._asking() as client:
            for facts in client.runs():
                yield Run(**{name: facts[name] for name in _RUN_FACTS if name in facts})

    def wait(self, after: int, timeout: float | None = None) -> int:
        """Ask for the last seq until it has passed *after*."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._asking() as client:
                last = _last_seq(client)
            left = _POLL_S if deadline is None else deadline - time.monotonic()
            if last > after or left <= 0:
                return last
            time.sleep(min(left, _POLL_S))

    def append(self, drafts: Sequence[CheckedDraft], recorded_ns: int) -> NoReturn:  # noqa: ARG002
        """Raise: it is read-only."""
        self._refuse()

    def start_run(self, run: Run) -> NoReturn:  # noqa: ARG002
        """Raise: it is read-only."""
        self._refuse()

    def finish_run(self, run: Run) -> NoReturn:  # noqa: ARG002
        """Raise: it is read-only."""
        self._refuse()

    def check_writable(self) -> NoReturn:
        """Raise: it is read-only."""
        self._refuse()

    def flush(self) -> None:
        """Do nothing: what the service has is its own to keep."""
        with self._asking():
            return

    def close(self) -> None:
        """Let go of the connections."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _refuse(self) -> NoReturn:
        with self._asking():
            raise StorageReadOnlyError(self._url)

    @contextmanager
    def _asking(self) -> Iterator[TelemetryClient]:
        """Give the client; what it raises is raised as a storage raises it."""
        if self._client is None:
            raise StorageClosedError(self._url)
        try:
            yield self._client
        except (ServerUnreachableError, TelemetryClientError) as error:
            reason = error.reason if isinstance(error, ServerUnreachableError) else str(error)
            raise StorageUnavailableError(self._url, reason) from error


def _last_seq(client: TelemetryClient) -> int:
    return max((event.seq for event in client.history(last=1)), default=0)


def _now(client: TelemetryClient) -> tuple[int, dict[str, TelemetryEvent]]:
    """
    Return a seq and what was current when that was the last one.

    In this order: what comes between the two questions and is current raises the seq, so that
    everything up to it is current if it is among the second answer, and else is not.
    """
    last = _last_seq(client)
    current = client.current()
    return max([last, *(event.seq for event in current.values())]), current


def _is_stored(client: TelemetryClient, event: TelemetryEvent) -> bool:
    return client.find(event.type, str(event.seq)) is not None


def _event_of(
    event: TelemetryEvent, *, make_current: bool = True, store_permanently: bool = True
) -> Event:
    return Event(
        seq=event.seq,
        ts=event.ts,
        type=event.type,
        data=event.data,
        meta=event.meta,
        make_current=make_current,
        store_permanently=store_permanently,
    )
