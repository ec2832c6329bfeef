"""The one writer of a site directory: appending lines, runs, rotation."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

from attrs import evolve

from telemetry_core.clock import local_zone, next_noon_ns, observing_day
from telemetry_core.errors import (
    InvalidRunError,
    NoActiveRunError,
    Problem,
    RunActiveError,
    StorageClosedError,
    StorageError,
)
from telemetry_core.ndjson.ids import Ids
from telemetry_core.ndjson.layout import RUN_LINES, Layout, make_directory
from telemetry_core.ndjson.lines import LineEncoder, read_events
from telemetry_core.ndjson.lock import take_lock
from telemetry_core.ndjson.log import Counts, Log, storage_error
from telemetry_core.ndjson.recovery import State, mend_tail, recover, write_checkpoint
from telemetry_core.ndjson.reservation import BLOCK, Reservation
from telemetry_core.ndjson.runfile import all_runs, read_run, write_run
from telemetry_core.ndjson.settings import ALWAYS, OS, NdjsonSettings
from telemetry_core.runs import resumed
from telemetry_core.storage import duplicate_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from telemetry_core.events import CheckedDraft, Event
    from telemetry_core.runs import Run

log = logging.getLogger(__name__)

_PIECE = 64 * 1024


class Writer:
    """
    Holds the lock, the open files and the state of a site directory.

    Its calls come from one thread at a time, beside its keeper's. `last_seq` is the last seq given
    and `last_stored` the last one that is in a file; both change when a batch is complete.
    """

    def __init__(self, layout: Layout, settings: NdjsonSettings) -> None:
        self.layout = layout
        self.failure: StorageError | None = None
        self._is_disowned = False
        self.waiters: list[threading.Event] = []
        self._place = str(layout.site_dir)
        self._is_always = settings.durability == ALWAYS
        self.is_synced = settings.durability != OS
        self._zone = local_zone(settings.timezone)
        self._encode = LineEncoder()
        self._files = threading.RLock()
        self._site: Log | None = None
        self._run_log: Log | None = None
        make_directory(layout.private)
        self._lock_fd = take_lock(layout.lock, self._place)
        try:
            self._restore(recover(layout, mend=True))
        except BaseException:
            os.close(self._lock_fd)
            raise

    def _restore(self, state: State) -> None:
        self._reservation = Reservation(self.layout.reserved_seq)
        found = self._reservation.found
        if found is None and state.last_seq:
            # Nobody knows which numbers were given to events that are in no file: leave a gap.
            found = state.last_seq + BLOCK
        self.last_seq = max(found or 0, state.last_seq)
        self.last_stored = state.last_seq
        self.current = dict(sorted(state.current.items(), key=lambda item: item[1].seq))
        self._counts = state.counts
        self._ids = Ids(state.ids)
        days = self.layout.site_files()
        self._newest_day = days[-1][0] if days else ""
        self._noon_ns = 0
        self.run = state.run
        with self._files:
            if self.run is not None and self.run.directory is not None:
                path = self.layout.site_dir / self.run.directory / RUN_LINES
                self._run_log = self._open_log(path)
            self.checkpoint()

    def append(self, drafts: Sequence[CheckedDraft], recorded_ns: int) -> list[Event]:
        """Append *drafts* as the contract says."""
        if self.failure is not None:
            raise self.failure
        if recorded_ns >= self._noon_ns:
            self._enter_day(recorded_ns)
        if len(drafts) != 1 or drafts[0].id is not None:
            return self._append_batch(drafts)
        draft = drafts[0]
        if draft.run_id is not None and draft.run_id != self._active_id:
            raise NoActiveRunError(draft.run_id)
        seq = self.last_seq + 1
        if seq > self._reservation.until:
            self._reservation.cover(seq)
        event = draft.recorded(seq)
        if draft.store_permanently:
            into = self._site if draft.run_id is None else self._run_log
            if into is None:
                into = self._log_of(draft)
            self._write(into, self._encode(event))
            into.counts = into.counts.plus(seq, seq, 1)
            self.last_stored = seq
        if draft.make_current:
            self.current[draft.type] = event
        self.last_seq = seq
        if self.waiters:
            self._wake()
        return [event]

    @property
    def _active_id(self) -> str | None:
        return None if self.run is None else self.run.run_id

    def _write(self, into: Log, lines: bytes) -> None:
        try:
            into.write(lines)
            if self._is_always:
                into.sync()
        except StorageError as error:
            if into.is_broken:
                self.fail(error)
            raise

    def _append_batch(self, drafts: Sequence[CheckedDraft]) -> list[Event]:
        answer: list[Event] = []
        new: list[Event] = []
        by_log: dict[Log, list[Event]] = {}
        new_ids: dict[str, Event] = {}
        seq = self.last_seq
        for draft in drafts:
            if draft.run_id is not None and draft.run_id != self._active_id:
                raise NoActiveRunError(draft.run_id)
            known = self._known(draft, new_ids)
            if known is not None:
                answer.append(known)
                continue
            seq += 1
            event = draft.recorded(seq)
            answer.append(event)
            new.append(event)
            if draft.id is not None:
                new_ids[draft.id] = event
            if draft.store_permanently:
                by_log.setdefault(self._log_of(draft), []).append(event)
        if seq > self._reservation.until:
            self._reservation.cover(seq)
        self._write_all(by_log)
        for events in by_log.values():
            self.last_stored = max(self.last_stored, events[-1].seq)
        self.current.update({event.type: event for event in new if event.make_current})
        for event in new_ids.values():
            self._ids.add(event)
        self.last_seq = seq
        if self.waiters:
            self._wake()
        return answer

    def _known(self, draft: CheckedDraft, new_ids: dict[str, Event]) -> Event | None:
        if draft.id is None:
            return None
        if draft.id in new_ids:
            return duplicate_of(draft, new_ids[draft.id])
        return self._ids.known(draft)

    def _write_all(self, by_log: dict[Log, list[Event]]) -> None:
        """Write the lines of a batch into all its files, or leave every file as it was."""
        before = [(into, into.size, into.counts) for into in by_log]
        encode = self._encode
        try:
            for into, events in by_log.items():
                block = b"".join([encode(event) for event in events])
                for start in range(0, len(block), _PIECE):
                    into.write(block[start : start + _PIECE])
                if self._is_always:
                    into.sync()
                into.counts = into.counts.plus(events[0].seq, events[-1].seq, len(events))
        except StorageError as error:
            for into, size, counts in before:
                into.cut_back(size)
                into.counts = counts
                if into.is_broken:
                    self.fail(error)
            raise

    def _log_of(self, draft: CheckedDraft) -> Log:
        if draft.run_id is None:
            return self._site or self._open_site()
        if self._run_log is None:
            raise NoActiveRunError(draft.run_id)
        return self._run_log

    def _open_site(self) -> Log:
        with self._files:
            self._site = self._open_log(self.layout.site_file(self._newest_day))
            self.checkpoint()
            return self._site

    def _open_log(self, path: Path) -> Log:
        mend_tail(self.layout, path)
        try:
            opened = Log(path)
        except OSError as error:
            raise storage_error(path, error) from error
        opened.counts = self._counts.get(self.layout.relative(path), opened.counts)
        return opened

    def _enter_day(self, recorded_ns: int) -> None:
        """Go on in the file of the observing day at *recorded_ns*, but never in an older one."""
        day = max(observing_day(recorded_ns, self._zone), self._newest_day)
        self._noon_ns = next_noon_ns(day, self._zone)
        if day == self._newest_day:
            return
        with self._files:
            self._newest_day = day
            if self._site is not None:
                if self.is_synced:
                    self._sync(self._site)
                self._site.close()
                self._site = None

    def start_run(self, run: Run) -> Run:
        """Start *run* as the contract says."""
        if self.failure is not None:
            raise self.failure
        if self.run is not None:
            raise RunActiveError(self.active_run() or self.run)
        directory, before = self._place_of(run)
        kept = evolve(resumed(before, run), directory=self.layout.relative(directory))
        path = directory / RUN_LINES
        try:
            make_directory(directory)
            self._counts[self.layout.relative(path)] = _counts_of(path, before)
            with self._files:
                self._run_log = self._open_log(path)
                # The checkpoint names the file before run.json makes the run active: from then on
                # no line can be in a file that a restart does not look at.
                self.run = kept
                self.checkpoint()
                write_run(directory, kept)
        except OSError as error:
            self._leave_run()
            if isinstance(error, StorageError):
                raise
            raise storage_error(directory, error) from error
        return self.active_run() or kept

    def _place_of(self, run: Run) -> tuple[Path, Run | None]:
        """Return the directory for *run* and what is known of a run of that id."""
        before = next((one for one in all_runs(self.layout) if one.run_id == run.run_id), None)
        wanted = run.directory
        if before is not None and before.directory is not None:
            if wanted is not None and wanted.strip("/") != before.directory:
                message = f"run {run.run_id!r} is kept in {before.directory!r}; leave run_dir out"
                raise InvalidRunError([Problem("$.run_dir", message)])
            wanted = before.directory
        directory = self.layout.check_run_directory(wanted or run.run_id)
        there = read_run(self.layout, directory)
        if there is not None and there.run_id != run.run_id:
            message = f"{self.layout.relative(directory)!r} holds run {there.run_id!r}"
            raise InvalidRunError([Problem("$.run_dir", message)])
        return directory, before

    def finish_run(self, run: Run) -> Run:
        """End *run* as the contract says."""
        if self.failure is not None:
            raise self.failure
        active = self.active_run()
        if active is None or active.run_id != run.run_id:
            raise NoActiveRunError(run.run_id)
        kept = evolve(active, stopped_at=run.stopped_at, status=run.status, reason=run.reason)
        try:
            with self._files:
                if self._run_log is not None and self.is_synced:
                    self._sync(self._run_log)
                write_run(self.layout.site_dir / str(kept.directory), kept)
                self._leave_run()
                self.checkpoint()
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise storage_error(self.layout.site_dir, error) from error
        return kept

    def _leave_run(self) -> None:
        with self._files:
            self.run = None
            if self._run_log is not None:
                path = self.layout.relative(self._run_log.path)
                self._counts[path] = self._run_log.counts
                self._run_log.close()
                self._run_log = None

    def active_run(self) -> Run | None:
        """Return the active run with its counts as of now."""
        run, run_log = self.run, self._run_log
        if run is None or run_log is None:
            return run
        events, first_seq, last_seq = run_log.counts
        return evolve(run, events=events, first_seq=first_seq, last_seq=last_seq)

    def sync(self) -> None:
        """Make everything appended so far survive a power cut."""
        with self._files:
            if self.failure is not None:
                raise self.failure
            for one in self._logs():
                self._sync(one)

    def _sync(self, one: Log) -> None:
        try:
            one.sync()
        except StorageError as error:
            self.fail(error)
            raise

    def _logs(self) -> list[Log]:
        return [one for one in (self._site, self._run_log) if one is not None]

    def checkpoint(self) -> None:
        """Write the state down, so that the next start is quick."""
        with self._files:
            write_checkpoint(self.layout, self._logs(), self.run, self.current, self.last_seq)

    def bytes_written(self) -> int:
        """Return the size of the open files, to see how much a restart would read again."""
        return sum(one.size for one in self._logs())

    def keep_ahead(self) -> None:
        """Reserve the next seqs before they are needed."""
        self._reservation.keep_ahead(self.last_seq)

    def fail(self, error: StorageError) -> None:
        """Take no more: what is in the files is no longer certain."""
        log.error("%s takes no more events until it is opened again: %s", self._place, error)
        self.failure = error

    def _wake(self) -> None:
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            waiter.set()

    def close(self) -> None:
        """Sync, write the state down, and let go of files and lock."""
        try:
            if self.failure is None:
                self.sync()
                self.checkpoint()
                self._reservation.settle(self.last_seq)
        finally:
            self.disown()
            self._wake()

    def disown(self) -> None:
        """Let go of every descriptor: the files are closed, or they are a parent process's."""
        if self._is_disowned:
            # The numbers of the descriptors may be somebody else's by now.
            return
        self._is_disowned = True
        self.failure = StorageClosedError(self._place)
        for one in self._logs():
            one.close()
        self._site = self._run_log = None
        self._reservation.close()
        os.close(self._lock_fd)


def _counts_of(path: Path, before: Run | None) -> Counts:
    """Return the counts a resumed run goes on from."""
    if before is not None and before.events:
        return Counts(before.events, before.first_seq, before.last_seq)
    counts = Counts()
    for _, event in read_events(path):
        counts = counts.plus(event.seq, event.seq, 1)
    return counts
