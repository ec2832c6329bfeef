"""Reserved seqs: a number is written down as taken before it is given, so none is given twice."""

from __future__ import annotations

import os
import re
import threading
import time
import zlib
from typing import TYPE_CHECKING

from telemetry_core.ndjson.layout import FILE_MODE, sync_directory
from telemetry_core.ndjson.log import storage_error

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 1_000
MAX_BLOCK = 1_000_000
_BUSY_S = 1.0
_WHOLE = re.compile(rb"(0\d{19}) ([0-9a-f]{8})\n")


class Reservation:
    """
    The file that says up to which seq numbers may have been given.

    Numbers are reserved a block at a time, in larger blocks while they are used up quickly. The
    file is written in place, so that this also works on a full disk.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._block = BLOCK
        self._reserved_at = time.monotonic()
        is_new = not path.exists()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        self.found = _number_in(os.pread(self._fd, 32, 0))
        self.until = self.found or 0
        if is_new:
            sync_directory(path.parent)

    def cover(self, seq: int) -> None:
        """
        Reserve at least up to *seq*, and a block more.

        Raises:
            StorageError: It could not be written down; *seq* must not be given.
        """
        with self._lock:
            if seq <= self.until:
                return
            now = time.monotonic()
            is_busy = now - self._reserved_at < _BUSY_S
            self._block = min(self._block * 2, MAX_BLOCK) if is_busy else BLOCK
            self._reserved_at = now
            self._write(seq + self._block)

    def keep_ahead(self, last_seq: int) -> None:
        """Reserve the next block early when half of this one is used, off the recording path."""
        if self.until - last_seq < self._block // 2:
            with self._lock:
                self._write(max(self.until, last_seq) + self._block)

    def settle(self, last_seq: int) -> None:
        """Give back what was reserved and not used, at the end."""
        with self._lock:
            self._write(last_seq)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def _write(self, until: int) -> None:
        try:
            digits = b"%020d" % until
            os.pwrite(self._fd, b"%b %08x\n" % (digits, zlib.crc32(digits)), 0)
            os.fdatasync(self._fd)
        except OSError as error:
            raise storage_error(self._path, error) from error
        self.until = until


def _number_in(text: bytes) -> int | None:
    """Return the number in *text*, `None` if it is not whole: a part of it would be smaller."""
    found = _WHOLE.match(text)
    if found is None or zlib.crc32(found[1]) != int(found[2], 16):
        return None
    return int(found[1])
