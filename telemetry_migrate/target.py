"""The directory that day files are migrated into: its lock, and what it holds."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import orjson

from telemetry_core.clock import parse_ts
from telemetry_core.errors import StorageInUseError
from telemetry_migrate.errors import ForeignEventsError
from telemetry_migrate.lines import BLOCK
from telemetry_migrate.records import ORIGIN, line_of
from telemetry_migrate.synced import sync_directory

_DAY_FILE: Final = re.compile(r"site_(\d{8})\.ndjson")
_RUN_FILES: Final = ("run.json", "telemetry.ndjson")
_NOTES: Final = ("checkpoint.json", "ids.ndjson")
_FIELDS: Final = ["seq", "ts", "type", "data", "meta"]
_DIRECTORY_MODE: Final = 0o750
_FILE_MODE: Final = 0o640


class Target:
    """
    A site directory that holds migrated events and nothing else.

    A recorder gives each event a number that is never given again; a migrated file comes with
    numbers of its own. So a directory that a recorder has written to is refused, whoever holds it.
    """

    def __init__(self, dest: Path) -> None:
        self.dest = dest
        self.private = dest / ".telemetry"
        self.rejects = self.private / "rejected.ndjson"
        self._lock = self.private / "lock"
        self._work = self.private / "migrating"

    @contextmanager
    def locked(self) -> Iterator[Path]:
        """
        Make the directory, hold its lock, and give an empty directory in it to work in.

        It is the lock of the recorder: neither starts while the other one is there.

        Raises:
            StorageInUseError: A recorder or another migration is there.
        """
        _make_directory(self.private)
        with _lock_of(self._lock, str(self.dest), os.O_CREAT):
            shutil.rmtree(self._work, ignore_errors=True)
            self._work.mkdir(_DIRECTORY_MODE, exist_ok=True)
            try:
                # Never twice the same: a worker of a killed migration may still be writing.
                yield Path(tempfile.mkdtemp(dir=self._work))
            finally:
                shutil.rmtree(self._work, ignore_errors=True)

    @contextmanager
    def unchanged(self, work: Path) -> Iterator[Path]:
        """Give *work*, after a look whether `locked` would succeed; nothing is made."""
        if self._lock.exists():
            with _lock_of(self._lock, str(self.dest), 0):
                yield work
        else:
            yield work

    def day_files(self) -> dict[str, Path]:
        """Return the day files with something in them that are there, by day."""
        paths = sorted(self.dest.glob("site_*.ndjson"))
        found = (_DAY_FILE.fullmatch(path.name) for path in paths if path.stat().st_size)
        return {match[1]: self.dest / match[0] for match in found if match}

    def path_of(self, day: str) -> Path:
        """Return the file of *day*."""
        return self.dest / f"site_{day}.ndjson"

    def check_free_of_recorder(self) -> None:
        """
        Return if no recorder has written here.

        Raises:
            ForeignEventsError: One has.
        """
        for name in _RUN_FILES:
            for path in self.dest.rglob(name):
                raise ForeignEventsError(str(self.dest), f"a recorder kept a run in {path.parent}")
        reserved = self.private / "seq"
        if not self.day_files() and reserved.exists() and reserved.read_bytes()[:20].strip(b"0"):
            raise ForeignEventsError(str(self.dest), "a recorder has given numbers there")

    def unnumbered_lines(self, path: Path) -> Iterator[tuple[str, bytes]]:
        """
        Yield the time and the unnumbered line of each event in a day file.

        Raises:
            ForeignEventsError: One was not migrated from a PanFileDB.
        """
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    event = orjson.loads(line)
                    if list(event) != _FIELDS or event["meta"]["migrated_from"] != ORIGIN:
                        raise ValueError  # noqa: TRY301
                    ts = parse_ts(event["ts"])[0]
                except (ValueError, TypeError, LookupError, AttributeError):
                    reason = f"line {number} of {path.name} was not written by a migration"
                    raise ForeignEventsError(str(self.dest), reason) from None
                yield ts, line_of(ts, event["type"], event["data"], event["meta"])

    def put_in_place(self, staged: dict[str, Path]) -> None:
        """
        Put the *staged* files of days in place, each of them at once.

        The newest day comes first: numbers only ever grow, so that at each moment, also after a
        kill, they go up from file to file.
        """
        if not staged:
            return
        # What a recorder noted of files that change now; it makes it again from the lines.
        for name in _NOTES:
            (self.private / name).unlink(missing_ok=True)
        shutil.rmtree(self.private / "index", ignore_errors=True)
        # A power cut must not bring the notes back beside files that they do not describe.
        sync_directory(self.private)
        for day in sorted(staged, reverse=True):
            staged[day].replace(self.path_of(day))
        sync_directory(self.dest)


def is_same_file(one: Path, other: Path) -> bool:
    """Whether the two files hold the same bytes."""
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as first, other.open("rb") as second:
        while block := first.read(BLOCK):
            if block != second.read(BLOCK):
                return False
    return True


def _make_directory(path: Path) -> None:
    missing = [one for one in (path, *path.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(_DIRECTORY_MODE, exist_ok=True)
        sync_directory(one.parent)


@contextmanager
def _lock_of(path: Path, place: str, flags: int) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, _FILE_MODE)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(fd, 32, 0).strip()
            raise StorageInUseError(place, int(pid) if pid.isdigit() else None) from None
        if flags:
            os.ftruncate(fd, 0)
            os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(fd)
