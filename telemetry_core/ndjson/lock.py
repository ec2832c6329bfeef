"""The lock that keeps a second writer out of a site directory."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from telemetry_core.errors import StorageInUseError
from telemetry_core.ndjson.layout import FILE_MODE

if TYPE_CHECKING:
    from pathlib import Path


def take_lock(path: Path, place: str) -> int:
    """
    Return the descriptor that holds the lock at *path*; closing it lets go, as does a kill -9.

    Raises:
        StorageInUseError: Another process holds it; the error carries its pid.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(fd, 32, 0).strip()
        os.close(fd)
        raise StorageInUseError(place, int(text) if text.isdigit() else None) from None
    except BaseException:
        os.close(fd)
        raise
    os.ftruncate(fd, 0)
    os.pwrite(fd, b"%d\n" % os.getpid(), 0)
    return fd
