"""One append-only file: whole lines or none."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from telemetry_core.errors import OutcomeUnknownError, StorageFullError, StorageUnavailableError
from telemetry_core.ndjson.layout import FILE_MODE, sync_directory, write_all

if TYPE_CHECKING:
    from pathlib import Path

    from telemetry_core.errors import StorageError

_write = os.write
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Counts(NamedTuple):
    """How many events a stream holds, and the first and last seq of them."""

    events: int = 0
    first_seq: int | None = None
    last_seq: int | None = None

    def plus(self, first_seq: int, last_seq: int, events: int) -> Counts:
        """Return the counts after *events* more, from *first_seq* to *last_seq*."""
        start = first_seq if self.first_seq is None else self.first_seq
        return Counts(self.events + events, start, last_seq)


class Log:
    """
    An open file that lines are appended to.

    `size` is the length in bytes of the lines that are accounted for: whoever writes adds to it
    once current values and ids know them too. When a write fails the file is cut back to that
    length; while even this fails, `is_broken` is set and it must not be written again. `seen` is
    the size at which it last stood at its path.
    """

    __slots__ = ("_identity", "_name", "fd", "is_broken", "is_dirty", "path", "seen", "size")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name = os.fspath(path)
        is_new = not path.exists()
        self.fd = os.open(
            path,
            os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW,
            FILE_MODE,
        )
        try:
            facts = os.fstat(self.fd)
            if is_new:
                sync_directory(path.parent)
        except BaseException:
            os.close(self.fd)
            raise
        self._identity = (facts.st_dev, facts.st_ino)
        self.size = self.seen = facts.st_size
        # What an earlier process wrote may never have been synced.
        self.is_dirty = self.size > 0
        self.is_broken = False

    def write(self, block: bytes) -> int:
        """
        Append *block*, which is whole lines, completely or not at all, and return its length.

        Raises:
            StorageFullError: There is no room.
            StorageUnavailableError: It cannot be written.
            OutcomeUnknownError: It could be written in part, and that part not be cut off.
        """
        self.is_dirty = True
        try:
            written = _write(self.fd, block)
            if written < len(block):
                write_all(self.fd, block[written:])
                return len(block)
            return written
        except OSError as error:
            self.cut_back()
            raise self.error_of(error) from error

    def error_of(self, error: OSError) -> StorageError:
        """Return the error of ours for one of the system that ended a write and was cut back."""
        if self.is_broken:
            reason = f"{error.strerror or error}, and what was written cannot be cut off"
            return OutcomeUnknownError(str(self.path), reason)
        return storage_error(self.path, error)

    def cut_back(self) -> None:
        """Cut the file to its `size`, so that what was written behind it is gone."""
        try:
            os.ftruncate(self.fd, self.size)
            self.is_broken = False
        except OSError:
            self.is_broken = True

    def is_at_its_path(self) -> bool:
        """Whether the file still stands at its path, whatever its size."""
        try:
            return self.is_same_file(os.lstat(self._name))
        except OSError:
            return False

    def is_as_left(self) -> bool:
        """Whether the file still stands at its path, with the size that it was given here."""
        try:
            facts = os.lstat(self._name)
        except OSError:
            return False
        if facts.st_size != self.size or not self.is_same_file(facts):
            return False
        self.seen = self.size
        return True

    def is_same_file(self, facts: os.stat_result) -> bool:
        """Whether *facts* are those of the open file, whatever its size."""
        return (facts.st_dev, facts.st_ino) == self._identity

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes between two offsets, also when the file has no name any more."""
        parts = []
        while start < end:
            part = os.pread(self.fd, end - start, start)
            if not part:
                break
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def sync(self) -> None:
        """
        Make what was written survive a power cut.

        Raises:
            OutcomeUnknownError: It may not; the file must not be written again, because the
                system has forgotten which pages were not written.
        """
        if not self.is_dirty:
            return
        self.is_dirty = False
        try:
            os.fdatasync(self.fd)
        except OSError as error:
            reason = f"it could not be synced: {error.strerror or error}"
            raise OutcomeUnknownError(str(self.path), reason) from error

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.fd)


def storage_error(path: Path, error: OSError) -> StorageError:
    """Return the error of ours for an *error* of the system at *path*."""
    reason = error.strerror or str(error)
    if error.errno in NO_ROOM:
        return StorageFullError(str(path), reason)
    return StorageUnavailableError(str(path), reason)
