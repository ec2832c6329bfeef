"""A storage without a disk: for tests, and the model the conformance kit compares others with."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import OrderedDict
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from telemetry_core.errors import (
    IdConflictError,
    NoActiveRunError,
    RunActiveError,
    StorageClosedError,
)
from telemetry_core.events import copy_of
from telemetry_core.hookspecs import hookimpl
from telemetry_core.runs import resumed
from telemetry_core.storage import (
    EVERYTHING,
    Capabilities,
    Selection,
    Snapshot,
    Storage,
    StorageType,
    duplicate_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from telemetry_core.events import CheckedDraft, Event
    from telemetry_core.runs import Run


@frozen(kw_only=True)
class MemorySettings:
    """Nothing to set: `memory:` is all there is to say."""

    url: str = "memory:"


class MemoryStorage(Storage):
    """Keeps everything in lists, until it is closed."""

    __slots__ = ("_changed", "_closed", "_current", "_events", "_ids", "_runs", "_seq")

    def __init__(self, settings: MemorySettings | None = None) -> None:  # noqa: ARG002
        self._changed = threading.Condition(threading.RLock())
        self._closed = False
        self._seq = 0
        self._events: list[Event] = []
        self._current: dict[str, Event] = {}
        self._ids: dict[str, Event] = {}
        self._runs: OrderedDict[str, Run] = OrderedDict()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            durable=False, returns_at_once=True, keeps_ephemeral=True, replicates=True
        )

    def append(self, drafts: Sequence[CheckedDraft], recorded_ns: int) -> list[Event]:  # noqa: ARG002
        with self._changed:
            self._check_open()
            new_ids: dict[str, Event] = {}
            answer, new = [], []
            seq = self._seq
            active = self.active_run()
            for draft in drafts:
                if draft.run_id is not None and (active is None or active.run_id != draft.run_id):
                    raise NoActiveRunError(draft.run_id)
                known = self._known(draft, new_ids)
                if known is not None:
                    answer.append(known)
                    continue
                seq += 1
                event = draft.recorded(seq)
                if draft.id is not None:
                    new_ids[draft.id] = event
                new.append(event)
                answer.append(event)
            self._keep(new, new_ids, seq)
            return answer

    def _known(self, draft: CheckedDraft, new_ids: dict[str, Event]) -> Event | None:
        if draft.id is None:
            return None
        event = new_ids.get(draft.id) or self._ids.get(draft.id)
        if event is None:
            return None
        return duplicate_of(draft, event)

    def _keep(self, new: list[Event], new_ids: dict[str, Event], seq: int) -> None:
        for event in new:
            if event.store_permanently:
                self._events.append(event)
                run = None if event.run_id is None else self._runs.get(event.run_id)
                if run is not None:
                    self._runs[run.run_id] = _counted(run, event)
            if event.make_current:
                self._current.pop(event.type, None)
                self._current[event.type] = event
        self._ids.update(new_ids)
        self._seq = seq
        self._changed.notify_all()

    def read(self, selection: Selection = EVERYTHING) -> Iterator[Event]:
        with self._changed:
            self._check_open()
            events = self._events[:]
        chosen: Iterator[Event] = (
            event
            for event in events
            if selection.includes_stream_of(event) and selection.matches(event)
        )
        if selection.last is not None:
            found = list(chosen)
            chosen = iter(
                found[len(found) - selection.last :] if selection.last < len(found) else found
            )
        for count, event in enumerate(chosen):
            if count == selection.limit:
                return
            yield copy_of(event)

    def current(self) -> Snapshot:
        with self._changed:
            self._check_open()
            events = {type_: copy_of(event) for type_, event in self._current.items()}
            return Snapshot(self._seq, events)

    def start_run(self, run: Run) -> Run:
        with self._changed:
            self._check_open()
            active = next((one for one in self._runs.values() if one.is_active), None)
            if active is not None:
                raise RunActiveError(active)
            kept = resumed(self._runs.get(run.run_id), run)
            self._runs[run.run_id] = kept
            return kept

    def finish_run(self, run: Run) -> Run:
        with self._changed:
            self._check_open()
            active = self._runs.get(run.run_id)
            if active is None or not active.is_active:
                raise NoActiveRunError(run.run_id)
            kept = evolve(active, stopped_at=run.stopped_at, status=run.status, reason=run.reason)
            self._runs[run.run_id] = kept
            return kept

    def runs(self) -> Iterator[Run]:
        with self._changed:
            self._check_open()
            return iter(list(self._runs.values()))

    def wait(self, after: int, timeout: float | None = None) -> int:
        with self._changed:
            self._check_open()
            self._changed.wait_for(lambda: self._closed or self._last_stored() > after, timeout)
            self._check_open()
            return self._last_stored()

    def replicate(self, events: Sequence[Event]) -> None:
        with self._changed:
            self._check_open()
            new = {event.seq: copy_of(event) for event in events if not self._has(event)}
            active = self.active_run()
            for event in new.values():
                if event.run_id is not None and (active is None or active.run_id != event.run_id):
                    raise NoActiveRunError(event.run_id)
            stored = [event for event in new.values() if event.store_permanently]
            for event in stored:
                if event.run_id is not None:
                    self._runs[event.run_id] = _counted(self._runs[event.run_id], event)
            is_behind = bool(stored) and stored[0].seq < self._last_stored()
            self._events += stored
            if is_behind:
                self._events.sort(key=_seq_of)
            for event in new.values():
                known = self._current.get(event.type)
                if event.make_current and (known is None or known.seq < event.seq):
                    self._current[event.type] = event
            self._current = {one.type: one for one in sorted(self._current.values(), key=_seq_of)}
            self._ids.update({event.id: event for event in new.values() if event.id is not None})
            self._seq = max(self._seq, *new, 0)
            self._changed.notify_all()

    def _has(self, event: Event) -> bool:
        """Whether *event* is kept under its seq; raises if another one is."""
        index = bisect_left(self._events, event.seq, key=_seq_of)
        known = self._current.get(event.type)
        if index < len(self._events) and self._events[index].seq == event.seq:
            known = self._events[index]
        if known is None or known.seq != event.seq:
            return False
        if known != event:
            raise IdConflictError(event.id or "", event.seq)
        return True

    def flush(self) -> None:
        self._check_open()

    def check_writable(self) -> None:
        self._check_open()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _last_stored(self) -> int:
        return self._events[-1].seq if self._events else 0

    def _check_open(self) -> None:
        if self._closed:
            raise StorageClosedError("memory:")


def _counted(run: Run, event: Event) -> Run:
    first_seq = event.seq if run.first_seq is None else min(run.first_seq, event.seq)
    last_seq = event.seq if run.last_seq is None else max(run.last_seq, event.seq)
    return evolve(run, events=run.events + 1, first_seq=first_seq, last_seq=last_seq)


def _seq_of(event: Event) -> int:
    return event.seq


@hookimpl
def telemetry_register_storage() -> StorageType:
    """Sign up `memory:`."""
    return StorageType(
        scheme="memory",
        summary="in this process only; gone when it is closed",
        settings=MemorySettings,
        open=MemoryStorage,
    )
