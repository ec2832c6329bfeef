"""The keeper: a thread that syncs, reserves and checkpoints beside the recording."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from telemetry_core.errors import StorageError

if TYPE_CHECKING:
    from telemetry_core.ndjson.writer import Writer

log = logging.getLogger(__name__)

_CHECKPOINT_S = 30.0
_CHECKPOINT_BYTES = 4 * 1024 * 1024


class Keeper:
    """Looks after a writer every *interval_s* seconds until it is stopped."""

    def __init__(self, writer: Writer, interval_s: float) -> None:
        self._writer = writer
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._checkpoint_at = time.monotonic() + _CHECKPOINT_S
        self._checkpoint_bytes = writer.bytes_written()
        self._checkpoint_seq = writer.last_seq
        self._thread = threading.Thread(target=self._keep, name="telemetry-keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._stop.wait(self._interval_s):
            try:
                self._look_after()
            except (StorageError, OSError) as error:
                # A failed sync has closed the log already; a checkpoint can wait for room.
                log.warning("looking after the files failed: %s", error)
                if self._writer.failure is not None:
                    return

    def _look_after(self) -> None:
        writer = self._writer
        if writer.is_synced:
            writer.sync()
        writer.keep_ahead()
        size = writer.bytes_written()
        is_due = time.monotonic() >= self._checkpoint_at and writer.last_seq != self._checkpoint_seq
        if is_due or abs(size - self._checkpoint_bytes) > _CHECKPOINT_BYTES:
            self._checkpoint_seq = writer.last_seq
            self._checkpoint_bytes = size
            self._checkpoint_at = time.monotonic() + _CHECKPOINT_S
            writer.checkpoint()
