"""Copying a whole site from one storage to another: events, runs, current values."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import islice

from attrs import evolve, frozen

from telemetry_core.events import Event
from telemetry_core.runs import LOST, Run
from telemetry_core.storage import Capabilities, Selection, Storage
from telemetry_migrate.errors import DivergedError
from telemetry_migrate.progress import COPYING, Meter, ShowProgress

_BATCH = 1000
_RUN_ID = b'"run_id"'
_NO_FACTS = "the source has its events and not its facts"


@frozen(kw_only=True)
class CopyReport:
    """
    What was copied.

    `read` is always `written + already_there + rejected`. `last_seq` is where the next copy goes
    on. `is_verified` says that both sides were compared and hold the same. `is_recorded_anew` says
    that the target gave the events numbers of its own, in its site stream, and made none current.
    """

    source: str = ""
    target: str = ""
    read: int = 0
    written: int = 0
    already_there: int = 0
    rejected: int = 0
    runs: int = 0
    last_seq: int = 0
    is_verified: bool = False
    is_recorded_anew: bool = False


def copy_site(
    source: Storage,
    target: Storage,
    *,
    verify: bool = False,
    progress: ShowProgress | None = None,
) -> CopyReport:
    """
    Copy every event of *source* into *target* under its own seq, with the runs and current values.

    What was copied before is not read again: it goes on behind the last seq of *target*, after a
    look whether that is the same event on both sides. So it can be killed and started again, and a
    copy be brought up to date. A run that is active in the source is active in the copy. With
    *verify* both sides are read and compared event by event.

    Raises:
        UnsupportedError: The target gives its own numbers only.
        DivergedError: The target holds what the source does not.
        StorageError: One of them cannot be read or written.
    """
    target.replicate(())
    resumed_at = _last_seq(target)
    _check_is_copy(source, target, resumed_at)
    runs = _Runs(source, target)
    meter = Meter(progress, COPYING, max(resumed_at, _last_seq(source)), "seq")
    meter.add(resumed_at)
    read, done = 0, resumed_at
    for batch in _batches(_events_of(source, resumed_at)):
        for part in _by_run(batch):
            runs.enter(part)
            target.replicate(part)
        read += sum(event.store_permanently for event in batch)
        meter.add(batch[-1].seq - done)
        done = batch[-1].seq
    runs.settle()
    target.flush()
    if verify:
        _check_same(source, target, done)
    return CopyReport(
        read=read,
        written=read,
        runs=sum(1 for _ in target.runs()),
        last_seq=_last_seq(target),
        is_verified=verify,
    )


def _events_of(source: Storage, after: int) -> Iterator[Event]:
    """Yield the history behind *after*, and in their places the ephemeral events now current."""
    current = sorted(source.current().values(), key=_seq_of)
    ephemeral = [one for one in current if one.seq > after and not one.store_permanently]
    history = source.read(Selection(after=after))
    return heapq.merge(history, ephemeral, key=_seq_of) if ephemeral else history


def _seq_of(event: Event) -> int:
    return event.seq


def _by_run(events: list[Event]) -> Iterator[list[Event]]:
    """Divide *events* into parts, each with the events of at most one run."""
    part: list[Event] = []
    run_id = None
    for event in events:
        if _RUN_ID in event.meta_json and event.run_id != run_id:
            if part and run_id is not None:
                yield part
                part = []
            run_id = event.run_id
        part.append(event)
    yield part


class _Runs:
    """Lets the target go through the runs of the source: at most one is active at any moment."""

    def __init__(self, source: Storage, target: Storage) -> None:
        self._source = source
        self._target = target

    def enter(self, events: list[Event]) -> None:
        """Make the run active that *events* belong to, if they belong to any."""
        of_run = next((one for one in events if _RUN_ID in one.meta_json and one.run_id), None)
        active = self._target.active_run()
        if of_run is None or (active is not None and active.run_id == of_run.run_id):
            return
        runs = {run.run_id: run for run in self._source.runs()}
        if active is not None:
            self._finish(active, runs.get(active.run_id), of_run.ts)
        run_id = str(of_run.run_id)
        self._target.start_run(_begun(runs.get(run_id) or Run(run_id=run_id, started_at=of_run.ts)))

    def settle(self) -> None:
        """Give the runs of the target the facts that they have in the source now."""
        wanted = {run.run_id: run for run in self._source.runs()}
        active = self._target.active_run()
        if active is not None and not _is_active(wanted.get(active.run_id)):
            self._finish(active, wanted.get(active.run_id), active.started_at)
        there = {run.run_id: run for run in self._target.runs()}
        for run in wanted.values():
            if not run.is_active and _facts(there.get(run.run_id)) != _facts(run):
                self._target.start_run(_begun(run))
                self._target.finish_run(run)
        for run in wanted.values():
            if run.is_active and not _is_active(there.get(run.run_id)):
                self._target.start_run(_begun(run))

    def _finish(self, active: Run, run: Run | None, at: str) -> None:
        """End the *active* run of the target as *run* says, which is the same one in the source."""
        if run is None:
            run = active.stopped(at, status=LOST, reason=_NO_FACTS)
        elif run.is_active:
            run = run.stopped(at)  # it was resumed later, and will be here
        self._target.finish_run(run)


def _is_active(run: Run | None) -> bool:
    return run is not None and run.is_active


def _facts(run: Run | None) -> Run | None:
    """Return what two storages must agree on: each counts by itself, and may choose the place."""
    if run is None:
        return None
    return evolve(run, directory=None, events=0, first_seq=None, last_seq=None)


def _begun(run: Run) -> Run:
    """Return *run* as it was when it began; what it holds is counted by who keeps it."""
    return Run(run_id=run.run_id, started_at=run.started_at, meta=run.meta, directory=run.directory)


def _last_seq(storage: Storage) -> int:
    return storage.wait(0, timeout=0)


def _batches(events: Iterator[Event]) -> Iterator[list[Event]]:
    while batch := list(islice(events, _BATCH)):
        yield batch


def _check_is_copy(source: Storage, target: Storage, seq: int) -> None:
    """Raise unless the last event of *target* is one of *source*, or nothing is there."""
    if not seq:
        active = target.active_run()
        if active is not None and active.run_id not in {run.run_id for run in source.runs()}:
            raise DivergedError(_name(target), f"its run {active.run_id!r} is active")
        return
    (mine,) = target.read(Selection(after=seq - 1, limit=1))
    theirs = next(source.read(Selection(after=seq - 1, limit=1)), None)
    if not _is_same(theirs, mine, source.capabilities):
        if source.removed_through() >= seq:
            reason = f"event {seq}, its last one, was removed from the source; copy to a new place"
            raise DivergedError(_name(target), reason)
        raise DivergedError(_name(target), f"it holds another event {seq}")


def _check_same(source: Storage, target: Storage, through: int) -> None:
    """Raise unless both hold the same up to *through*; the target may keep what was removed."""
    known, removed = source.capabilities, source.removed_through()
    copied = target.read()
    for theirs in source.read():
        if theirs.seq > through:
            break
        mine = next((one for one in copied if one.seq >= theirs.seq or one.seq > removed), None)
        if not _is_same(theirs, mine, known):
            seq = theirs.seq if mine is None else min(theirs.seq, mine.seq)
            raise DivergedError(_name(target), f"event {seq} differs")
    for mine in copied:
        if mine.seq > removed:
            raise DivergedError(_name(target), f"event {mine.seq} differs")


def _is_same(theirs: Event | None, mine: Event | None, known: Capabilities) -> bool:
    """Whether the source and the target have one event there, as far as the source is *known*."""
    if known.complete_events or theirs is None or mine is None:
        return theirs == mine
    return evolve(mine, id=theirs.id, make_current=theirs.make_current) == theirs


def _name(storage: Storage) -> str:
    return type(storage).__name__
