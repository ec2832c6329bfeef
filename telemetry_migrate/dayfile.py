"""Writing one day file: numbered lines in order of time, nothing twice."""

from __future__ import annotations

import heapq
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Final

from attrs import define, frozen

from telemetry_migrate.records import TS_START
from telemetry_migrate.spill import sorted_lines, sorted_lists, time_key

_MILLISECOND: Final = slice(TS_START, TS_START + 23)
_END: Final = slice(-60, None)
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
    result = DayResult()
    with ExitStack() as files:
        heard = None
        if task.repeated is not None:
            heard = files.enter_context(task.repeated.open("wb")).write
        if task.kept is None:
            lists = _distinct(sorted_lists(task.added), result, heard)
        else:
            added, kept = sorted_lines(task.added), sorted_lines((task.kept,))
            lists = _listed(_united(added, kept, result, heard))
        _write_day(task.path, lists, task.first_seq)
    return result


def _write_day(path: Path, lists: Iterable[list[bytes]], first_seq: int) -> None:
    """Write the day file *path*, safe from a power cut; the first of its lines gets *first_seq*."""
    seq = first_seq
    with path.open("wb") as file:
        os.fchmod(file.fileno(), 0o640)
        for lines in lists:
            for piece in _listed(iter(lines)):
                file.write(b"".join([b'{"seq":%d,%b' % each for each in enumerate(piece, seq)]))
                seq += len(piece)
        file.flush()
        os.fsync(file.fileno())


def _listed(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    while piece := list(islice(lines, _PIECE)):
        yield piece


def _distinct(
    lists: Iterable[list[bytes]], result: DayResult, repeated: Heard | None
) -> Iterator[list[bytes]]:
    """Yield *lists*, each line once if it has an id: an archive may hold a record twice."""
    for lines in lists:
        # Whatever ends differently is different, and the end of a line is its id.
        if len({line[_END] for line in lines}) == len(lines):
            result.added += len(lines)
            yield lines
        else:
            yield _without_repeated(lines, result, repeated)


def _without_repeated(lines: list[bytes], result: DayResult, repeated: Heard | None) -> list[bytes]:
    seen: set[bytes] = set()
    kept = []
    for line in lines:
        identity = line[_MILLISECOND] + _identity(line)
        if identity in seen and not line.endswith(_WITHOUT_ID):
            result.repeated += 1
            if repeated is not None:
                repeated(line)
            continue
        seen.add(identity)
        result.added += 1
        kept.append(line)
    return kept


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
