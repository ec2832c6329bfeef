"""Copying a whole site from one storage to another: events, runs, current values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, zip_longest

from attrs import evolve, frozen

from telemetry_core.events import Event
from telemetry_core.runs import LOST, Run
from telemetry_core.storage import Selection, Storage
from telemetry_migrate.errors import DivergedError
from telemetry_migrate.progress import COPYING, Meter, ShowProgress

_BATCH = 1000
_NO_FACTS = "the source has its events and not its facts"


@frozen(kw_only=True)
class CopyReport:
    """
    What was copied.

    `read` is always `written + already_there + rejected`. `last_seq` is where the next copy goes
    on. `is_verified` says that both sides were compared and hold the same.
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
    runs.copy()
    meter = Meter(progress, COPYING, max(resumed_at, _last_seq(source)), "seq")
    meter.add(resumed_at)
    written, done = 0, resumed_at
    for batch in _batches(source.read(Selection(after=resumed_at))):
        runs.know(batch)
        target.replicate(batch)
        written += len(batch)
        meter.add(batch[-1].seq - done)
        done = batch[-1].seq
    _copy_current(source, target, runs, done)
    runs.copy()
    target.flush()
    if verify:
        _check_same(source, target, done)
    return CopyReport(
        read=written,
        written=written,
        runs=sum(1 for _ in target.runs()),
        last_seq=done,
        is_verified=verify,
    )


class _Runs:
    """Gives the target the runs of the source: their facts; what they hold it counts itself."""

    def __init__(self, source: Storage, target: Storage) -> None:
        self._source = source
        self._target = target
        self._known: set[str | None] = {None}

    def copy(self) -> None:
        """Bring the runs of the target up to date; at most one is active at any moment."""
        wanted = {run.run_id: run for run in self._source.runs()}
        there = {run.run_id: run for run in self._target.runs()}
        for run in list(there.values()):
            theirs = wanted.get(run.run_id)
            if run.is_active and (theirs is None or not theirs.is_active):
                if theirs is None:
                    raise DivergedError(_name(self._target), f"its run {run.run_id!r} is active")
                there[run.run_id] = self._target.finish_run(theirs)
        for run in wanted.values():
            if not run.is_active and _facts(there.get(run.run_id)) != _facts(run):
                self._target.start_run(_begun(run))
                self._target.finish_run(run)
        for run in wanted.values():
            mine = there.get(run.run_id)
            if run.is_active and (mine is None or not mine.is_active):
                self._target.start_run(_begun(run))
        self._known.update(wanted, there)

    def know(self, events: Iterable[Event]) -> None:
        """Let the target know each run that *events* belong to, also one whose facts are lost."""
        firsts = {event.run_id: event for event in events if b'"run_id"' in event.meta_json}
        if firsts.keys() <= self._known:
            return
        self.copy()
        for run_id in firsts.keys() - self._known:
            lost = Run(run_id=str(run_id), started_at=firsts[run_id].ts)
            self._target.start_run(lost)
            self._target.finish_run(lost.stopped(lost.started_at, status=LOST, reason=_NO_FACTS))
            self._known.add(run_id)


def _facts(run: Run | None) -> Run | None:
    return None if run is None else evolve(run, events=0, first_seq=None, last_seq=None)


def _begun(run: Run) -> Run:
    return Run(run_id=run.run_id, started_at=run.started_at, meta=run.meta, directory=run.directory)


def _copy_current(source: Storage, target: Storage, runs: _Runs, through: int) -> None:
    """Give *target* the current values that are not in the history: those of ephemeral events."""
    current = sorted(source.current().values(), key=lambda event: event.seq)
    is_up_to_date = _last_seq(source) <= through
    chosen = [
        event
        for event in current
        if event.seq <= through or (is_up_to_date and not event.store_permanently)
    ]
    runs.know(chosen)
    target.replicate(chosen)


def _last_seq(storage: Storage) -> int:
    return storage.wait(0, timeout=0)


def _batches(events: Iterator[Event]) -> Iterator[list[Event]]:
    while batch := list(islice(events, _BATCH)):
        yield batch


def _check_is_copy(source: Storage, target: Storage, seq: int) -> None:
    """Raise unless the last event of *target* is one of *source*."""
    if not seq:
        return
    (mine,) = target.read(Selection(after=seq - 1, limit=1))
    theirs = next(source.read(Selection(after=seq - 1, limit=1)), None)
    if theirs != mine:
        raise DivergedError(_name(target), f"it holds another event {seq}")


def _check_same(source: Storage, target: Storage, through: int) -> None:
    for theirs, mine in zip_longest(source.read(), target.read()):
        if theirs is not None and theirs.seq > through:
            return
        if theirs != mine:
            seq = min(event.seq for event in (theirs, mine) if event is not None)
            raise DivergedError(_name(target), f"event {seq} differs")


def _name(storage: Storage) -> str:
    return type(storage).__name__
