"""The lock that keeps a second writer out of a site directory."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from telemetry_core.errors import StorageInUseError
from telemetry_core.ndjson.layout import FILE_MODE

if TYPE_CHECKING:
    from pathlib import Path


class Lock:
    """
    An exclusive lock on a file that names its owner; the end of the process lets go of it.

    Raises:
        StorageInUseError: Another process holds it; the error carries its pid.
    """

    def __init__(self, path: Path, place: str) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _pid_in(self._fd)
            os.close(self._fd)
            raise StorageInUseError(place, pid) from None
        except BaseException:
            os.close(self._fd)
            raise
        # In place, so that this also works on a full disk.
        os.ftruncate(self._fd, os.pwrite(self._fd, b"%d\n" % os.getpid(), 0))

    def is_held(self) -> bool:
        """Whether the file that is locked still stands at its path."""
        try:
            there, ours = self._path.lstat(), os.fstat(self._fd)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def unlock(self) -> None:
        """Let others have the lock, also while a process that was forked still holds the file."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file: in the process that took the lock this lets go of the lock."""
        os.close(self._fd)


def _pid_in(fd: int) -> int | None:
    text = os.pread(fd, 32, 0).partition(b"\n")[0]
    return int(text) if text.isdigit() else None
