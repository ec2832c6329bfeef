"""Unnumbered lines on disk, a file for each day, so that memory holds little of them at a time."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
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
        self.counts: Counter[str] = Counter()
        self._directory = directory
        self._texts: dict[str, list[bytes]] = {}
        self._bytes = 0
        directory.mkdir()

    def add(self, day: str, text: bytes, lines: int = 1) -> None:
        """Append *text*, which is so many *lines* of *day*."""
        self._texts.setdefault(day, []).append(text)
        self.counts[day] += lines
        self._bytes += len(text)
        if self._bytes >= _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write down what is in memory."""
        for day, texts in self._texts.items():
            with self.path_of(day).open("ab") as file:
                file.write(b"".join(texts))
        self._texts.clear()
        self._bytes = 0

    def path_of(self, day: str) -> Path:
        """Return the file of *day*."""
        return self._directory / day


def sorted_lists(paths: Sequence[Path], widths: Sequence[int] = _WIDTHS) -> Iterator[list[bytes]]:
    """
    Yield the lines of the files *paths* in order of time, those of one time in order of the files.

    They come in lists of a few megabytes; those of one millisecond are in the same list. What is
    larger is first split by the hour, then by the minute and so on, down to the millisecond. A file
    that is not there has no lines.
    """
    paths = [path for path in paths if path.exists()]
    if sum(path.stat().st_size for path in paths) <= _SORT_BYTES or not widths:
        lines = []
        for path in paths:
            with path.open("rb") as file:
                lines += file.readlines()
        lines.sort(key=_key_for(lines))
        yield lines
        return
    for part in _split(paths, widths[0]):
        yield from sorted_lists((part,), widths[1:])
        part.unlink()


def sorted_lines(paths: Sequence[Path]) -> Iterator[bytes]:
    """Yield the lines of the files *paths* one by one; see `sorted_lists`."""
    return chain.from_iterable(sorted_lists(paths))


def time_key(line: bytes) -> bytes:
    """Return what sorts *line* by the instant of its time, however many digits that has."""
    return line[TS_START : line.index(b"Z", TS_START)].rstrip(b"0")


def _key_for(lines: list[bytes]) -> Callable[[bytes], bytes]:
    """Return the quickest function that sorts *lines* by time."""
    if {line[TS_START + 26] for line in lines} == {_Z}:
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
                    parts.add(line[prefix].decode(), line)
    parts.flush()
    yield from (parts.path_of(name) for name in sorted(parts.counts))
    directory.rmdir()
