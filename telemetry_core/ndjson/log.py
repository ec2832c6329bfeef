"""One append-only file: whole lines or none."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from telemetry_core.errors import StorageError, StorageFullError, StorageUnavailableError
from telemetry_core.ndjson.layout import FILE_MODE, sync_directory

if TYPE_CHECKING:
    from pathlib import Path

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Counts(NamedTuple):
    """How many events a file holds, and the first and last seq of them."""

    events: int = 0
    first_seq: int | None = None
    last_seq: int | None = None

    def plus(self, first_seq: int, last_seq: int, events: int) -> Counts:
        """Return the counts after *events* more, from *first_seq* to *last_seq*."""
        start = first_seq if self.first_seq is None else self.first_seq
        return Counts(self.events + events, start, last_seq)


class Log:
    """
    An open file that lines are appended to, and what is known of its content.

    `size` is the length of the whole lines in it, in bytes. When a write fails the file is cut
    back to that length; if even this fails, `is_broken` is set and it must not be written again.
    `counts` is replaced as a whole, so that another thread never sees half of a change.
    """

    __slots__ = ("counts", "fd", "is_broken", "is_dirty", "path", "size")

    def __init__(self, path: Path) -> None:
        self.path = path
        is_new = not path.exists()
        self.fd = os.open(
            path,
            os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW,
            FILE_MODE,
        )
        self.size = os.fstat(self.fd).st_size
        self.counts = Counts()
        self.is_dirty = False
        self.is_broken = False
        if is_new:
            sync_directory(path.parent)

    def write(self, block: bytes) -> None:
        """
        Append *block*, which is whole lines, completely or not at all.

        Raises:
            StorageFullError: There is no room.
            StorageUnavailableError: It cannot be written.
        """
        try:
            written = os.write(self.fd, block)
            while written < len(block):
                written += os.write(self.fd, memoryview(block)[written:])
        except OSError as error:
            self.cut_back(self.size)
            raise storage_error(self.path, error) from error
        self.size += written
        self.is_dirty = True

    def cut_back(self, size: int) -> None:
        """Cut the file to *size*, so that what was written behind it is gone."""
        try:
            os.ftruncate(self.fd, size)
        except OSError:
            self.is_broken = True
        self.size = size

    def sync(self) -> None:
        """
        Make what was written survive a power cut.

        Raises:
            StorageUnavailableError: It may not; the file must not be written again, because the
                system has forgotten which pages were not written.
        """
        if not self.is_dirty:
            return
        self.is_dirty = False
        try:
            os.fdatasync(self.fd)
        except OSError as error:
            self.is_broken = True
            raise storage_error(self.path, error) from error

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.fd)


def storage_error(path: Path, error: OSError) -> StorageError:
    """Return the error of ours for an *error* of the system at *path*."""
    reason = error.strerror or str(error)
    if error.errno in _NO_ROOM:
        return StorageFullError(str(path), reason)
    return StorageUnavailableError(str(path), reason)
