"""Unnumbered lines on disk, a file for each day, so that memory holds little of them at a time."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Final

from telemetry_migrate.records import TS_START

_FLUSH_BYTES: Final = 2 * 1024 * 1024
_SORT_BYTES: Final = 6 * 1024 * 1024
_PIECE_BYTES: Final = 1024 * 1024

_WIDTHS: Final = (13, 16, 19, 23)
"""How much of a time says its hour, minute, second and millisecond."""
_MICROSECONDS = slice(TS_START, TS_START + 26)
_Z: Final = b"Z"[0]


class Spill:
    """Takes lines by day and appends them to the day's file in *directory*, in the order given."""

    def __init__(self, directory: Path) -> None:
        self.counts: dict[str, int] = {}
        self._directory = directory
        self._lines: dict[str, list[bytes]] = {}
        self._bytes = 0
        directory.mkdir()

    def lines_of(self, day: str) -> list[bytes]:
        """Return the list to which the lines of *day* are appended; it stays the same list."""
        return self._lines.setdefault(day, [])

    def settle(self, added_bytes: int) -> None:
        """Write down what is in memory, if by *added_bytes* more it has become much."""
        self._bytes += added_bytes
        if self._bytes >= _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write down what is in memory."""
        for day, lines in self._lines.items():
            if lines:
                with self.path_of(day).open("ab", buffering=0) as file:
                    file.write(b"".join(lines))
                self.counts[day] = self.counts.get(day, 0) + len(lines)
                lines.clear()
        self._bytes = 0

    def path_of(self, day: str) -> Path:
        """Return the file of *day*."""
        return self._directory / day


def sorted_lines(paths: Sequence[Path], widths: Sequence[int] = _WIDTHS) -> Iterator[bytes]:
    """
    Yield the lines of the files *paths* in order of time, those of one time in order of the files.

    Memory holds a few megabytes of them: what is larger is first split by the hour, then by the
    minute and so on, down to the millisecond. A file that is not there has no lines.
    """
    paths = [path for path in paths if path.exists()]
    if sum(path.stat().st_size for path in paths) <= _SORT_BYTES or not widths:
        lines = []
        for path in paths:
            with path.open("rb") as file:
                lines += file.readlines()
        lines.sort(key=_key_for(lines))
        yield from lines
        return
    for part in _split(paths, widths[0]):
        yield from sorted_lines((part,), widths[1:])
        part.unlink()


def time_key(line: bytes) -> bytes:
    """Return what sorts *line* by the instant of its time, however many digits that has."""
    return line[TS_START : line.index(b"Z", TS_START)].rstrip(b"0")


def _key_for(lines: list[bytes]) -> Callable[[bytes], bytes]:
    """Return the quickest function that sorts *lines* by time."""
    if all(line[TS_START + 26] == _Z for line in lines):
        return itemgetter(_MICROSECONDS)
    return time_key


def _split(paths: Sequence[Path], width: int) -> Iterator[Path]:
    """Split the lines of *paths* by the first *width* characters of their time, in order of it."""
    prefix = slice(TS_START, TS_START + width)
    directory = paths[0].with_name(f"{paths[0].name}-{width}")
    shutil.rmtree(directory, ignore_errors=True)
    parts = Spill(directory)
    for path in paths:
        with path.open("rb") as file:
            while lines := file.readlines(_PIECE_BYTES):
                for line in lines:
                    parts.lines_of(line[prefix].decode()).append(line)
                parts.flush()
    yield from (parts.path_of(name) for name in sorted(parts.counts))
    directory.rmdir()
