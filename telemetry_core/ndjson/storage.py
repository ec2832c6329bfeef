"""NdjsonStorage: the storage contract over a site directory of NDJSON files."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

from telemetry_core.clock import system_clock
from telemetry_core.errors import (
    StorageClosedError,
    StorageError,
    StorageReadOnlyError,
    StorageUnavailableError,
)
from telemetry_core.events import copy_of
from telemetry_core.ndjson import runs
from telemetry_core.ndjson.index import Indexes
from telemetry_core.ndjson.keeper import Keeper
from telemetry_core.ndjson.layout import Layout
from telemetry_core.ndjson.log import storage_error
from telemetry_core.ndjson.reader import Reader
from telemetry_core.ndjson.recovery import recover
from telemetry_core.ndjson.retention import Retention, removed_through
from telemetry_core.ndjson.runfile import RunFiles
from telemetry_core.ndjson.settings import ALWAYS, NdjsonSettings
from telemetry_core.ndjson.watch import Watch
from telemetry_core.ndjson.writer import Writer
from telemetry_core.storage import (
    EVERYTHING,
    Capabilities,
    Selection,
    Snapshot,
    Storage,
    run_id_after,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from telemetry_core.blocks import DraftBlock
    from telemetry_core.events import CheckedDraft, Event
    from telemetry_core.runs import Run

_POLL_S = 0.05


class NdjsonStorage(Storage):
    """
    A site directory: one file per observing day, one per run, one line per event.

    Opened for writing it holds the directory's lock; `read_only=True` needs none and sees what
    the writing process has written.
    """

    def __init__(self, settings: NdjsonSettings) -> None:
        self._settings = settings
        self._layout = Layout(settings.site_dir)
        self._run_files = RunFiles(self._layout)
        indexes = Indexes(self._layout)
        self._reader = Reader(self._layout, self._run_files, indexes)
        self._is_closed = False
        self._writer: Writer | None = None
        self._keeper: Keeper | None = None
        self._watch: Watch | None = None
        self._watching = threading.Lock()
        try:
            if settings.read_only:
                self._check_there()
                self._watch = Watch(self._layout)
                return
            self._writer = Writer(self._layout, settings, self._run_files, self._reader)
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise storage_error(settings.site_dir, error) from error
        # The same call without the way through ours: it is made for every event.
        self.append_one = self._writer.append_one  # type: ignore[method-assign]
        retention = Retention(self._layout, settings, self._run_files, system_clock)
        self._keeper = Keeper(self._writer, indexes, retention, settings.sync_interval_s)
        _writing.add(self)

    @property
    def capabilities(self) -> Capabilities:
        is_synced = self._settings.durability == ALWAYS
        return Capabilities(
            durable=True,
            costly_commit=is_synced,
            returns_at_once=not is_synced,
            keeps_ephemeral=True,
            replicates=True,
            max_event_bytes=self._settings.max_event_bytes,
        )

    @property
    def site_dir(self) -> str:
        """The site directory, as an absolute path."""
        return str(self._layout.site_dir)

    def append(self, drafts: Sequence[CheckedDraft], recorded_ns: int) -> list[Event]:
        return self._writing().append(drafts, recorded_ns)

    def append_block(self, block: DraftBlock, recorded_ns: int) -> Sequence[Event]:
        return self._writing().append_block(block, recorded_ns)

    def read(self, selection: Selection = EVERYTHING) -> Iterator[Event]:
        self._check_open()
        return self._reader.read(selection, self._last_stored())

    def read_json(self, selection: Selection = EVERYTHING) -> Iterator[bytes]:
        self._check_open()
        as_they_stand = self._reader.read_json(selection, self._last_stored())
        return super().read_json(selection) if as_they_stand is None else as_they_stand

    def replicate(self, events: Sequence[Event]) -> None:
        self._writing().replicate(events)

    def start_run(self, run: Run) -> Run:
        return runs.start_run(self._writing(), run)

    def finish_run(self, run: Run) -> Run:
        return runs.finish_run(self._writing(), run)

    def runs(self) -> Iterator[Run]:
        active = self.active_run()
        for run in self._run_files.in_order():
            is_active = active is not None and run.run_id == active.run_id
            yield active if is_active and active is not None else run

    def active_run(self) -> Run | None:
        self._check_open()
        if self._writer is not None:
            return runs.active_run(self._writer)
        state = recover(self._layout, self._run_files, mend=False)
        if state.run is None:
            return None
        return runs.counted(state.run, state.counts)

    def next_run_id(self) -> str:
        self._check_open()
        run_ids = [run.run_id for run in self._run_files.in_order()]
        return run_id_after(run_ids + self._layout.directory_names())

    def current(self) -> Snapshot:
        self._check_open()
        if self._writer is not None:
            known = self._writer.current.copy()
        else:
            known = recover(self._layout, self._run_files, mend=False).current
        events = sorted(known.values(), key=lambda event: event.seq)
        as_of_seq = events[-1].seq if events else 0
        return Snapshot(as_of_seq, {event.type: copy_of(event) for event in events})

    def wait(self, after: int, timeout: float | None = None) -> int:
        self._check_open()
        if self._writer is None:
            return self._poll(after, timeout)
        self._wait_for_append(self._writer, after, timeout)
        self._check_open()
        return self._writer.last_stored

    def _wait_for_append(self, writer: Writer, after: int, timeout: float | None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        changed = threading.Event()
        while True:
            writer.waiters.append(changed)
            # Looked at only now: an append, or the end, after this look finds the waiter.
            left = None if deadline is None else deadline - time.monotonic()
            is_over = self._is_closed or (left is not None and left <= 0)
            if is_over or writer.last_stored > after:
                break
            changed.wait(left)
            changed.clear()
        with contextlib.suppress(ValueError):
            writer.waiters.remove(changed)

    def removed_through(self) -> int:
        self._check_open()
        return removed_through(self._layout)

    def flush(self) -> None:
        self._writing().sync()

    def check_writable(self) -> None:
        writer = self._writing()
        if writer.failure is not None:
            raise writer.failure
        broken = next((one for one in list(writer.logs.values()) if one.is_broken), None)
        if broken is not None:
            raise StorageUnavailableError(str(broken.path), "a torn line cannot be cut off")
        try:
            room = os.statvfs(self._layout.site_dir)
        except OSError as error:
            raise storage_error(self._layout.site_dir, error) from error
        if room.f_flag & os.ST_RDONLY:
            raise StorageUnavailableError(self.site_dir, "the file system is read-only")
        if room.f_bavail == 0:
            raise storage_error(self._layout.site_dir, OSError(28, "No space left on device"))

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if self._keeper is not None:
            self._keeper.stop()
        if self._writer is not None:
            self._writer.close()

    def disown(self) -> None:
        """In a forked child: leave the parent's files to the parent."""
        self._is_closed = True
        if self._writer is not None:
            self._writer.disown()

    def _writing(self) -> Writer:
        if self._writer is None or self._is_closed:
            raise self._unwritable()
        return self._writer

    def _unwritable(self) -> StorageError:
        if self._is_closed:
            return StorageClosedError(self.site_dir)
        return StorageReadOnlyError(self.site_dir)

    def _check_open(self) -> None:
        if self._is_closed:
            raise StorageClosedError(self.site_dir)

    def _check_there(self) -> None:
        if not self._layout.site_dir.is_dir():
            raise StorageUnavailableError(self.site_dir, "no such directory")

    def _last_stored(self) -> int:
        if self._watch is None:
            return self._writing().last_stored
        with self._watching:
            return self._watch.last_stored()

    def _poll(self, after: int, timeout: float | None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self._check_open()
            last = self._last_stored()
            left = None if deadline is None else deadline - time.monotonic()
            if last > after or (left is not None and left <= 0):
                return last
            time.sleep(_POLL_S if left is None else min(_POLL_S, left))


_writing: weakref.WeakSet[NdjsonStorage] = weakref.WeakSet()


def _disown_all() -> None:
    for storage in list(_writing):
        storage.disown()


os.register_at_fork(after_in_child=_disown_all)
