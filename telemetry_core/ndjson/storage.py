"""NdjsonStorage: the storage contract over a site directory of NDJSON files."""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

from telemetry_core.errors import (
    StorageClosedError,
    StorageReadOnlyError,
    StorageUnavailableError,
)
from telemetry_core.events import copy_of
from telemetry_core.ndjson import reader
from telemetry_core.ndjson.keeper import Keeper
from telemetry_core.ndjson.layout import Layout
from telemetry_core.ndjson.log import storage_error
from telemetry_core.ndjson.recovery import recover
from telemetry_core.ndjson.runfile import all_runs
from telemetry_core.ndjson.settings import ALWAYS, NdjsonSettings
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

    from telemetry_core.events import CheckedDraft, Event
    from telemetry_core.runs import Run

_POLL_S = 0.1


class NdjsonStorage(Storage):
    """
    A site directory: one file per observing day, one per run, one line per event.

    Opened for writing it holds the directory's lock; `read_only=True` needs none and sees what
    the writing process has written.
    """

    __slots__ = ("__weakref__", "_is_closed", "_keeper", "_layout", "_settings", "_writer")

    def __init__(self, settings: NdjsonSettings) -> None:
        self._settings = settings
        self._layout = Layout(settings.site_dir)
        self._is_closed = False
        self._writer: Writer | None = None
        self._keeper: Keeper | None = None
        try:
            if settings.read_only:
                self._check_there()
                return
            self._writer = Writer(self._layout, settings)
        except OSError as error:
            if error.__class__.__module__.startswith("telemetry_core"):
                raise
            raise storage_error(settings.site_dir, error) from error
        self._keeper = Keeper(self._writer, settings.sync_interval_s)
        _writing.add(self)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            durable=True,
            costly_commit=self._settings.durability == ALWAYS,
            keeps_ephemeral=True,
            max_event_bytes=self._settings.max_event_bytes,
        )

    @property
    def site_dir(self) -> str:
        """The site directory, as an absolute path."""
        return str(self._layout.site_dir)

    def append(self, drafts: Sequence[CheckedDraft], recorded_ns: int) -> list[Event]:
        return self._writing().append(drafts, recorded_ns)

    def read(self, selection: Selection = EVERYTHING) -> Iterator[Event]:
        self._check_open()
        return reader.read(self._layout, selection, self._last_stored())

    def start_run(self, run: Run) -> Run:
        return self._writing().start_run(run)

    def finish_run(self, run: Run) -> Run:
        return self._writing().finish_run(run)

    def runs(self) -> Iterator[Run]:
        self._check_open()
        active = self._writer.active_run() if self._writer is not None else None
        for run in all_runs(self._layout):
            is_active = active is not None and run.run_id == active.run_id
            yield active if is_active and active is not None else run

    def active_run(self) -> Run | None:
        self._check_open()
        if self._writer is not None:
            return self._writer.active_run()
        return next((run for run in reversed(all_runs(self._layout)) if run.is_active), None)

    def next_run_id(self) -> str:
        self._check_open()
        run_ids = [run.run_id for run in all_runs(self._layout)]
        return run_id_after(run_ids + self._layout.directory_names())

    def current(self) -> Snapshot:
        self._check_open()
        known = self._writer.current if self._writer is not None else None
        if known is None:
            known = recover(self._layout, mend=False).current
        events = sorted(known.copy().values(), key=lambda event: event.seq)
        as_of_seq = events[-1].seq if events else 0
        return Snapshot(as_of_seq, {event.type: copy_of(event) for event in events})

    def wait(self, after: int, timeout: float | None = None) -> int:
        self._check_open()
        if self._writer is None:
            return self._poll(after, timeout)
        if self._writer.last_stored <= after:
            changed = threading.Event()
            self._writer.waiters.append(changed)
            # Looked at again: the append may have come before the waiter was there to be woken.
            deadline = None if timeout is None else time.monotonic() + timeout
            while self._writer.last_stored <= after and self._writer.failure is None:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                changed.wait(left)
                changed.clear()
                if self._writer.last_stored <= after:
                    self._writer.waiters.append(changed)
        self._check_open()
        return self._writer.last_stored

    def flush(self) -> None:
        self._writing().sync()

    def check_writable(self) -> None:
        writer = self._writing()
        if writer.failure is not None:
            raise writer.failure
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
        self._check_open()
        if self._writer is None:
            raise StorageReadOnlyError(self.site_dir)
        return self._writer

    def _check_open(self) -> None:
        if self._is_closed:
            raise StorageClosedError(self.site_dir)

    def _check_there(self) -> None:
        if not self._layout.site_dir.is_dir():
            raise StorageUnavailableError(self.site_dir, "no such directory")

    def _last_stored(self) -> int:
        if self._writer is not None:
            return self._writer.last_stored
        return reader.last_stored_seq(self._layout)

    def _poll(self, after: int, timeout: float | None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self._check_open()
            last = reader.last_stored_seq(self._layout)
            left = None if deadline is None else deadline - time.monotonic()
            if last > after or (left is not None and left <= 0):
                return last
            time.sleep(_POLL_S if left is None else min(_POLL_S, left))


_writing: weakref.WeakSet[NdjsonStorage] = weakref.WeakSet()


def _disown_all() -> None:
    for storage in list(_writing):
        storage.disown()


os.register_at_fork(after_in_child=_disown_all)
