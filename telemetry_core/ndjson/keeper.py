"""The keeper: a thread that syncs, reserves, checkpoints, indexes and removes beside recording."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from telemetry_core.errors import StorageError
from telemetry_core.ndjson.layout import RUN_LINES

if TYPE_CHECKING:
    from pathlib import Path

    from telemetry_core.ndjson.index import Indexes
    from telemetry_core.ndjson.retention import Retention
    from telemetry_core.ndjson.writer import Writer

log = logging.getLogger(__name__)

_CHECKPOINT_S = 30.0
_CHECKPOINT_BYTES = 4 * 1024 * 1024
_RETENTION_S = 60.0
_INDEXED_AT_ONCE = 8 * 1024 * 1024


class Keeper:
    """Looks after a writer every *interval_s* seconds until it is stopped."""

    def __init__(
        self, writer: Writer, indexes: Indexes, retention: Retention, interval_s: float
    ) -> None:
        self._writer = writer
        self._indexes = indexes
        self._retention = retention
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._checkpoint_at = time.monotonic() + _CHECKPOINT_S
        self._checkpoint_size = writer.size()
        self._checkpoint_seq = writer.last_seq
        self._retention_at = 0.0
        self._open: set[Path] = set()
        self._to_index: deque[Path] = deque()
        self._thread = threading.Thread(target=self._keep, name="telemetry-keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        self._thread.join()

    def _keep(self) -> None:
        self._do(self._find_unindexed)
        due = time.monotonic()
        while True:
            due = max(due + self._interval_s, time.monotonic())
            if self._stop.wait(due - time.monotonic()):
                return
            for duty in (self._sync, self._checkpoint, self._index, self._retain):
                self._do(duty)
                if self._writer.failure is not None:
                    return

    def _do(self, duty: Callable[[], None]) -> None:
        try:
            duty()
        except (StorageError, OSError) as error:
            # A failed sync has closed the log already; the rest can wait for room.
            log.warning("looking after %s failed: %s", self._writer.layout.site_dir, error)
        except Exception:
            # A mistake of ours must not end the thread: nothing would be synced any more.
            log.exception("looking after %s failed", self._writer.layout.site_dir)

    def _sync(self) -> None:
        self._writer.check_lock()
        if self._writer.is_synced:
            self._writer.sync()
        self._writer.reservation.keep_ahead(self._writer.last_seq)

    def _checkpoint(self) -> None:
        writer = self._writer
        size = writer.size()
        is_due = time.monotonic() >= self._checkpoint_at and writer.last_seq != self._checkpoint_seq
        if is_due or abs(size - self._checkpoint_size) > _CHECKPOINT_BYTES:
            self._checkpoint_seq = writer.last_seq
            self._checkpoint_size = size
            self._checkpoint_at = time.monotonic() + _CHECKPOINT_S
            writer.checkpoint()
            self._index_open()

    def _index_open(self) -> None:
        """Index what the open files have grown by, and the rest of those that were closed."""
        sizes = {one.path: one.size for one in list(self._writer.logs.values())}
        self._to_index.extend(self._open - set(sizes))
        self._open = set(sizes)
        for path, size in sizes.items():
            self._indexes.of(path).save(size)

    def _index(self) -> None:
        """Index a part of one file that was closed without a whole index."""
        if not self._to_index:
            return
        path = self._to_index.popleft()
        try:
            index = self._indexes.of(path, most_bytes=_INDEXED_AT_ONCE)
            is_whole = index.is_whole(path.stat().st_size)
            index.save(index.end)
        except FileNotFoundError:
            is_whole = True
        if not is_whole:
            self._to_index.appendleft(path)

    def _find_unindexed(self) -> None:
        """Index in time the files of which no index was kept, the newest first."""
        layout = self._writer.layout
        paths = [path for _, path in layout.site_files()]
        paths += [directory / RUN_LINES for directory in layout.run_directories()]
        self._to_index.extend(one for one in reversed(paths) if not layout.index_of(one).exists())

    def _retain(self) -> None:
        if time.monotonic() >= self._retention_at:
            self._retention_at = time.monotonic() + _RETENTION_S
            for path in self._retention.apply(self._writer):
                self._indexes.forget(path)
