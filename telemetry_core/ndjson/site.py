"""The open files of a site directory, what is known of their content, and the lock on them."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
from typing import TYPE_CHECKING

from telemetry_core.clock import (
    day_before,
    format_ts,
    instant_ns,
    local_zone,
    next_noon_ns,
    observing_day,
)
from telemetry_core.errors import (
    StorageClosedError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
)
from telemetry_core.ndjson.checkpoint import Checkpoint
from telemetry_core.ndjson.ids import Ids
from telemetry_core.ndjson.layout import RUN_LINES, Layout, make_directory
from telemetry_core.ndjson.lines import can_be_written
from telemetry_core.ndjson.lock import Lock
from telemetry_core.ndjson.log import Counts, Log, storage_error
from telemetry_core.ndjson.recovery import State, mend_tail, recover
from telemetry_core.ndjson.reservation import MAX_BLOCK, Reservation
from telemetry_core.ndjson.settings import OS, NdjsonSettings
from telemetry_core.ndjson.strays import account_for

if TYPE_CHECKING:
    from pathlib import Path

    from telemetry_core.events import Event
    from telemetry_core.ndjson.runfile import RunFiles

log = logging.getLogger(__name__)

SITE = None
"""The stream of events that belong to no run."""


class Site:
    """
    A site directory opened for writing: the lock, a log for each open stream, and the state.

    `last_seq` is the last seq given and `last_stored` the last one that is in a file; `closed_days`
    are the latest files of the site stream that were closed, with their sizes. What changes
    it is called by the thread that appends; `sync`, `checkpoint` and `check_lock` by any.
    """

    def __init__(self, layout: Layout, settings: NdjsonSettings, run_files: RunFiles) -> None:
        self.layout = layout
        self.run_files = run_files
        self.failure: StorageError | None = None
        self.files = threading.RLock()
        self.logs: dict[str | None, Log] = {}
        self.is_synced = settings.durability != OS
        self._place = str(layout.site_dir)
        self._is_disowned = False
        self.zone = local_zone(settings.timezone)
        self._day_of_last: tuple[str, str, str, float] = ("", "", "", 0)
        make_directory(layout.private)
        with contextlib.ExitStack() as opened:
            self._lock = Lock(layout.lock, self._place)
            opened.callback(self._lock.close)
            self.reservation = Reservation(layout.reserved_seq)
            opened.callback(self.reservation.close)
            opened.callback(self._close_logs)
            self._restore(recover(layout, run_files, mend=True))
            opened.pop_all()

    def _restore(self, state: State) -> None:
        found = self.reservation.found
        if found is None and state.last_seq:
            # Nobody knows which numbers were given to events that are in no file: leave a gap as
            # large as a reservation can be.
            found = state.last_seq + MAX_BLOCK
        self.last_seq = max(found or 0, state.last_seq)
        self.last_stored = state.last_stored
        self.current = dict(sorted(state.current.items(), key=lambda item: item[1].seq))
        self.run = state.run
        self.counts = state.counts
        self.ids = Ids(self.layout.ids)
        for event_id, seq in state.ids:
            self.ids.add(event_id, seq)
        days = self.layout.site_files()
        self._newest_day = days[-1][0] if days else ""
        # A restart must be told of the newest one also while it is not open, or it reads all of
        # them; and of the one before, whose end a power cut may have torn when it was not synced.
        self.closed_days = {
            self.layout.relative(path): path.stat().st_size for _, path in days[-2:]
        }
        self.noon_ns = 0
        with self.files:
            if self.run is not None and self.run.directory is not None:
                path = self.layout.site_dir / self.run.directory / RUN_LINES
                self.open_log(self.run.run_id, path)
            self._checkpoint_if_there_is_room()

    def check_files(self) -> None:
        """
        See that every open file stands at its path as it was left, and put right what does not.

        Raises:
            StorageUnavailableError: The directory is not ours any more.
        """
        for stream, one in list(self.logs.items()):
            if one.is_broken:
                one.cut_back()
            if one.is_broken:
                raise StorageUnavailableError(str(one.path), "a torn line cannot be cut off")
            if one.is_as_left():
                continue
            with self.files:
                self._check_ours()
                try:
                    self._take_over(stream, one)
                except OSError as error:
                    if isinstance(error, StorageError):
                        raise
                    raise storage_error(one.path, error) from error

    def _take_over(self, stream: str | None, one: Log) -> None:
        """Take account of what is in a file that is not as it was left, and only then go on."""
        for event in account_for(self.layout, one):
            self._add_stray(stream, event)
        if one.is_at_its_path():
            one.size = os.fstat(one.fd).st_size
        else:
            self.open_log(stream, one.path)
            one.close()

    def _check_ours(self) -> None:
        """
        See that nothing is written into a directory that is not ours any more.

        Raises:
            StorageUnavailableError: It was removed, replaced or taken.
        """
        self.check_lock()
        if self.failure is not None:
            raise self.failure

    def _add_stray(self, stream: str | None, event: Event) -> None:
        """Take account of an event found in a file; once more makes no difference."""
        self.last_seq = max(self.last_seq, event.seq)
        self.last_stored = max(self.last_stored, event.seq)
        known = self.current.get(event.type)
        is_later = event.make_current and (known is None or known.seq < event.seq)
        if is_later and can_be_written(event):
            self.current[event.type] = event
        if event.id is not None:
            self.ids.add(event.id, event.seq)
        if stream is not SITE and event.seq > (self.counts.last_seq or 0):
            self.count(event.seq, event.seq, 1)

    def count(self, first_seq: int, last_seq: int, events: int) -> None:
        """Take account of *events* more in the stream of the active run."""
        before, first, _ = self.counts
        self.counts = Counts(before + events, first_seq if first is None else first, last_seq)

    def open_log(self, stream: str | None, path: Path) -> None:
        """
        Append to the file *path* what goes to *stream* from now on.

        Raises:
            StorageError: It cannot be opened.
        """
        try:
            mend_tail(self.layout, path)
            self.logs[stream] = Log(path)
        except StorageError:
            raise
        except OSError as error:
            raise storage_error(path, error) from error

    def close_log(self, stream: str | None) -> None:
        """Append no more to *stream*: make its file safe, and let go of it."""
        with self.files:
            one = self.logs.get(stream)
            if one is not None:
                if self.is_synced:
                    self.sync_log(one)
                del self.logs[stream]
                if stream is SITE:
                    self.closed_days = {self.layout.relative(one.path): one.size}
                one.close()

    def open_site(self) -> None:
        """
        Append to the file of the observing day what goes to the site stream from now on.

        Raises:
            StorageError: It cannot be opened.
        """
        with self.files:
            self._check_ours()
            self.open_log(SITE, self.layout.site_file(self._newest_day))
            try:
                # Before the first line: a restart looks for lines in the files named there.
                self.checkpoint()
            except BaseException:
                self.logs.pop(SITE).close()
                raise

    def day_of(self, ts: str, now_ns: int) -> str:
        """Return the day to keep an event of *ts* in: not after today, not before the newest."""
        begin, end, day, until_ns = self._day_of_last
        if not (begin <= ts < end and now_ns < until_ns):
            ns = min(instant_ns(ts), now_ns)
            day = observing_day(ns, self.zone)
            end_ns = next_noon_ns(day, self.zone)
            # Whole seconds, so that texts of any number of digits compare as the times do.
            begin = format_ts(next_noon_ns(day_before(day), self.zone))[:19]
            # To today belongs whatever is later, too, but only as long as it lasts.
            is_over = end_ns <= now_ns
            end, until_ns = (format_ts(end_ns)[:19], math.inf) if is_over else ("~", end_ns)
            self._day_of_last = (begin, end, day, until_ns)
        return max(day, self._newest_day)

    def enter_day(self, recorded_ns: int) -> None:
        """Go on in the file of the observing day at *recorded_ns*, but never in an older one."""
        day = observing_day(recorded_ns, self.zone)
        if day < self._newest_day:
            log.warning("the clock says day %s; going on in that of %s", day, self._newest_day)
            day = self._newest_day
        if day != self._newest_day:
            self.close_log(SITE)
            self._newest_day = day
        self.noon_ns = next_noon_ns(day, self.zone)

    def sync(self) -> None:
        """
        Make everything appended so far survive a power cut.

        Raises:
            StorageError: That is not certain.
        """
        with self.files:
            if self.failure is not None:
                raise self.failure
            for one in self.logs.values():
                self.sync_log(one)

    def sync_log(self, one: Log) -> None:
        """Make what was appended to *one* log survive a power cut; an error fails the site."""
        # One after the other: what is being synced looks as if it were safe already.
        with self.files:
            try:
                one.sync()
            except StorageError as error:
                self.fail(error)
                raise

    def checkpoint(self) -> None:
        """
        Write the state down, so that the next start is quick.

        Raises:
            StorageError: It could not be written; the one before stands.
        """
        with self.files:
            # In this order: what is appended meanwhile is read again, and nothing is missed.
            sizes = dict(self.closed_days)
            sizes |= {self.layout.relative(one.path): one.size for one in self.logs.values()}
            counts = self.counts
            last_stored = self.last_stored
            try:
                for one in self.logs.values():
                    self.sync_log(one)
                self.ids.save()
                Checkpoint(
                    sizes=sizes,
                    counts=counts,
                    last_stored=last_stored,
                    run=None if self.run is None else self.run.directory,
                    current=self.current.copy(),
                    last_seq=self.last_seq,
                ).write(self.layout.checkpoint)
            except OSError as error:
                if isinstance(error, StorageError):
                    raise
                raise storage_error(self.layout.checkpoint, error) from error

    def _checkpoint_if_there_is_room(self) -> None:
        """Write the state down; on a full disk the next start reads more lines instead."""
        try:
            self.checkpoint()
        except StorageFullError as error:
            log.warning("the checkpoint of before stays, if there is one: %s", error)

    def size(self) -> int:
        """Return the size of the open files, to see how much a restart would read again."""
        return sum(one.size for one in list(self.logs.values()))

    def check_lock(self) -> None:
        """
        See that the site directory is still ours.

        Raises:
            StorageUnavailableError: It was removed, replaced or taken.
        """
        if self.failure is None and not self._lock.is_held():
            self.fail(StorageUnavailableError(self._place, "it was removed or replaced"))

    def fail(self, error: StorageError) -> None:
        """Take no more: what is in the files is no longer certain."""
        log.error("%s takes no more events until it is opened again: %s", self._place, error)
        reason = f"it takes no more events until it is opened again: {error}"
        self.failure = StorageUnavailableError(self._place, reason)

    def close(self) -> None:
        """Sync, write the state down, and let go of files and lock."""
        with self.files:
            try:
                if self.failure is None:
                    self.check_files()
                    self.sync()
                    self._checkpoint_if_there_is_room()
                    self.reservation.settle(self.last_seq)
            finally:
                if not self._is_disowned:
                    self._lock.unlock()
                self.disown()

    def disown(self) -> None:
        """Let go of every descriptor: the files are closed, or they are a parent process's."""
        if self._is_disowned:
            # The numbers of the descriptors may be somebody else's by now.
            return
        self._is_disowned = True
        self.failure = StorageClosedError(self._place)
        self._close_logs()
        self.reservation.close()
        self._lock.close()

    def _close_logs(self) -> None:
        for one in self.logs.values():
            one.close()
        self.logs = {}
