"""Names: which file is what in a site directory, and which names a run may take there."""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from telemetry_core.errors import InvalidRunError, Problem
from telemetry_core.runs import check_run_id

if TYPE_CHECKING:
    from collections.abc import Iterator

PRIVATE = ".telemetry"
RUN_LINES = "telemetry.ndjson"
RUN_FACTS = "run.json"
DIRECTORY_MODE = 0o750
FILE_MODE = 0o640

_SITE_FILE = re.compile(r"site_([12][0-9]{7})\.ndjson")
_YEARS = range(1678, 2262)  # as those of a ts
_MAX_DEPTH = 8


class Layout:
    """The paths of one site directory."""

    def __init__(self, site_dir: Path) -> None:
        self.site_dir = site_dir
        self.private = site_dir / PRIVATE
        self.lock = self.private / "lock"
        self.reserved_seq = self.private / "seq"
        self.checkpoint = self.private / "checkpoint.json"
        self.ids = self.private / "ids.ndjson"
        self.removed = self.private / "removed.ndjson"
        self.torn = self.private / "torn"

    def site_file(self, day: str) -> Path:
        """Return the file of the observing *day* `YYYYMMDD`."""
        return self.site_dir / f"site_{day}.ndjson"

    def site_files(self) -> list[tuple[str, Path]]:
        """Return the days and files of the site stream, the oldest first."""
        found = []
        for entry in _entries(self.site_dir):
            match = _SITE_FILE.fullmatch(entry.name)
            if match and _is_day(match[1]) and entry.is_file(follow_symlinks=False):
                found.append((match[1], Path(entry.path)))
        return sorted(found)

    def index_of(self, path: Path) -> Path:
        """Return the file that holds the sparse index of the lines in *path*."""
        return self.private / "index" / f"{flat_name(self.relative(path))}.index"

    def relative(self, path: Path) -> str:
        """Return *path* as text relative to the site directory."""
        return path.relative_to(self.site_dir).as_posix()

    def run_directories(self) -> Iterator[Path]:
        """Yield every directory that holds a run, wherever it lies below the site directory."""
        yield from _run_directories(self.site_dir, _MAX_DEPTH)

    def directory_names(self) -> list[str]:
        """Return the names of the directories right in the site directory."""
        return [entry.name for entry in _entries(self.site_dir) if entry.is_dir()]

    def check_run_directory(self, directory: str) -> Path:
        """
        Return the path for a run that asked for *directory*, relative to the site directory.

        Raises:
            InvalidRunError: It would lie outside, pass a symbolic link, or take a name of ours.
        """
        parts = PurePosixPath(directory).parts
        if not parts or directory.startswith(("/", "~", "\\")) or "\\" in directory:
            raise _refused(directory, "must be a relative path below the site directory")
        if len(parts) > _MAX_DEPTH:
            raise _refused(directory, f"has more than {_MAX_DEPTH} parts")
        for part in parts:
            try:
                check_run_id(part)
            except InvalidRunError as error:
                raise _refused(directory, f"has the part {part!r:.80}: {error}") from None
        path = self.site_dir
        for part in parts:
            path = path / part
            if path.is_symlink():
                raise _refused(directory, f"passes the symbolic link {part!r}")
            if path.exists() and not path.is_dir():
                raise _refused(directory, f"passes {part!r}, which is no directory")
            if path != self.site_dir.joinpath(*parts) and (path / RUN_FACTS).exists():
                raise _refused(directory, f"lies inside of the run in {part!r}")
        return path


def flat_name(relative: str) -> str:
    """Return the path *relative* as one file name, which no other path gives."""
    return quote(relative, safe="")


def make_directory(path: Path) -> None:
    """Make *path* and the directories above it, each of them safe from a power cut."""
    missing = [path, *path.parents]
    missing = missing[: next(i for i, one in enumerate(missing) if one.is_dir())]
    for one in reversed(missing):
        one.mkdir(DIRECTORY_MODE, exist_ok=True)
        sync_directory(one.parent)


def sync_directory(path: Path) -> None:
    """Make the names in the directory *path* survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_whole(path: Path, content: bytes) -> None:
    """Put *content* in the place of the file *path*: a reader sees the old one or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    fd = os.open(
        temporary,
        os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW,
        FILE_MODE,
    )
    try:
        try:
            write_all(fd, content)
            os.fsync(fd)
        finally:
            os.close(fd)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_all(fd: int, content: bytes) -> None:
    """Write *content* completely, in as many pieces as the system takes."""
    written = os.write(fd, content)
    while written < len(content):
        written += os.write(fd, memoryview(content)[written:])


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).year in _YEARS
    except ValueError:
        return False


def _refused(directory: str, why: str) -> InvalidRunError:
    return InvalidRunError([Problem("$.run_dir", f"{directory!r:.200} {why}")])


def _entries(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []


def _run_directories(path: Path, depth: int) -> Iterator[Path]:
    for entry in _entries(path):
        if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
            continue
        below = Path(entry.path)
        if (below / RUN_FACTS).is_file() or (below / RUN_LINES).is_file():
            yield below
        elif depth > 1:
            yield from _run_directories(below, depth - 1)
