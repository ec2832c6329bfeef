"""Writing one day file: numbered lines in order of time, nothing twice."""

from __future__ import annotations

import heapq
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, Final

from attrs import define, frozen

from telemetry_migrate.records import TS_START
from telemetry_migrate.spill import sorted_lines, time_key

_MILLISECOND: Final = slice(TS_START, TS_START + 23)
_WITHOUT_ID: Final = b'"original_id":null}}\n'
_PIECE: Final = 1000


@define
class DayResult:
    """How many lines a day file got from the source and kept of before, and what was repeated."""

    added: int = 0
    kept: int = 0
    repeated: int = 0

    @property
    def lines(self) -> int:
        """How many lines there are."""
        return self.added + self.kept


@frozen
class DayTask:
    """
    One day file to write: the spills it is made of, and the number of its first line.

    `kept` are the lines that it held before, or `None` if nothing is to be kept. Lines that are
    left out because they are repeated are written to `repeated`, if that is given.
    """

    day: str
    path: Path
    added: tuple[Path, ...]
    kept: Path | None
    first_seq: int
    repeated: Path | None


Heard = Callable[[bytes], object]


def do_day(task: DayTask) -> DayResult:
    """Write the day file of *task*."""
    added = sorted_lines(task.added)
    kept = None if task.kept is None else sorted_lines((task.kept,))
    with ExitStack() as files:
        heard = None
        if task.repeated is not None:
            heard = files.enter_context(task.repeated.open("wb")).write
        return write_day(task.path, added, kept, task.first_seq, repeated=heard)


def write_day(
    path: Path,
    added: Iterable[bytes],
    kept: Iterable[bytes] | None,
    first_seq: int,
    *,
    repeated: Heard | None = None,
) -> DayResult:
    """
    Write the day file *path*, safe from a power cut, and return what it holds.

    *added* are the lines of the source and *kept* those that the day file held before, both
    unnumbered and in order of time. The first gets *first_seq*. *repeated* hears of what is left
    out.
    """
    result = DayResult()
    with path.open("wb", buffering=0) as file:
        os.fchmod(file.fileno(), 0o640)
        lines = (
            _distinct(added, result, repeated)
            if kept is None
            else _united(added, kept, result, repeated)
        )
        _write_numbered(file, lines, first_seq)
        os.fsync(file.fileno())
    return result


def _write_numbered(file: BinaryIO, lines: Iterator[bytes], first_seq: int) -> None:
    piece: list[bytes] = []
    for seq, line in enumerate(lines, first_seq):
        piece.append(b'{"seq":%d,%b' % (seq, line))
        if len(piece) == _PIECE:
            file.write(b"".join(piece))
            piece.clear()
    file.write(b"".join(piece))


def _distinct(lines: Iterable[bytes], result: DayResult, repeated: Heard | None) -> Iterator[bytes]:
    """Yield *lines*, each once if it has an id: an archive may hold a record twice."""
    last = first = b""
    seen: set[bytes] = set()
    for line in lines:
        result.added += 1
        moment = line[_MILLISECOND]
        if moment != last:
            last, first = moment, line
            seen = set()
        else:
            # Only lines of one millisecond can be the same, so only those are looked at.
            if not seen:
                seen.add(_identity(first))
            identity = _identity(line)
            if identity in seen and not line.endswith(_WITHOUT_ID):
                result.added -= 1
                result.repeated += 1
                if repeated is not None:
                    repeated(line)
                continue
            seen.add(identity)
        yield line


def _united(
    added: Iterable[bytes], kept: Iterable[bytes], result: DayResult, repeated: Heard | None
) -> Iterator[bytes]:
    """Yield *kept* and those of *added* that are not among them, in order of time."""
    both = heapq.merge(
        ((time_key(line), False, line) for line in kept),
        ((time_key(line), True, line) for line in added),
        key=itemgetter(0),
    )
    for _, group in groupby(both, lambda one: one[2][_MILLISECOND]):
        moment = list(group)
        there = Counter(_identity(line) for _, is_added, line in moment if not is_added)
        for _, is_added, line in moment:
            if is_added and _is_there(line, there):
                result.repeated += 1
                if repeated is not None:
                    repeated(line)
                continue
            if is_added:
                result.added += 1
            else:
                result.kept += 1
            yield line


def _is_there(line: bytes, there: Counter[bytes]) -> bool:
    """Whether *line* is among those *there*; without an id, each of them stands for one only."""
    identity = _identity(line)
    if line.endswith(_WITHOUT_ID):
        there[identity] -= 1
        return there[identity] >= 0
    if identity in there:
        return True
    there[identity] = 1
    return False


def _identity(line: bytes) -> bytes:
    """Return *line* without its time: an older migrator kept fewer digits of that."""
    return line[line.index(b"Z", TS_START) :]
