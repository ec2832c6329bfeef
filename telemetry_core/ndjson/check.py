"""Checking a site directory line by line, and setting aside what is damaged in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from heapq import merge
from typing import TYPE_CHECKING

from attrs import define, evolve, field, frozen

from telemetry_core.ndjson.layout import (
    FILE_MODE,
    RUN_FACTS,
    RUN_LINES,
    Layout,
    make_directory,
    sync_directory,
    write_all,
)
from telemetry_core.ndjson.lines import DamagedLineError, parse, read_blocks, read_events
from telemetry_core.ndjson.lock import Lock
from telemetry_core.ndjson.recovery import mend_tail, set_aside
from telemetry_core.ndjson.runfile import facts_of, read_run, write_run

if TYPE_CHECKING:
    from pathlib import Path


@frozen
class Damage:
    """A place in a file that is no event: from *offset* on, so many *bytes*, and why."""

    file: str
    offset: int
    bytes: int
    reason: str


@define
class FileReport:
    """What stands in one file of lines."""

    file: str
    events: int = 0
    first_seq: int | None = None
    last_seq: int | None = None
    gaps: int = 0


@define
class Report:
    """
    What was found in a site directory.

    `gaps` are seqs between the first and the last one that are in no file, which is legal: events
    that were not to be stored take seqs too, and so does a crash. `repeated` are seqs that stand
    in more than one line, `disorder` lines whose seq is not above that of the line before: one of
    the two was changed by somebody or something. `unreadable_runs` are directories whose
    `run.json` cannot be read. `mended` says what a repair did.
    """

    files: list[FileReport] = field(factory=list)
    damage: list[Damage] = field(factory=list)
    gaps: int = 0
    repeated: list[int] = field(factory=list)
    disorder: list[Damage] = field(factory=list)
    unreadable_runs: list[str] = field(factory=list)
    mended: list[str] = field(factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged."""
        return not (self.damage or self.repeated or self.disorder or self.unreadable_runs)

    @property
    def events(self) -> int:
        """How many events there are."""
        return sum(one.events for one in self.files)


def check(layout: Layout, *, on_file: Callable[[str], object] = lambda _: None) -> Report:
    """
    Read every line below a site directory and return what was found, changing nothing.

    A directory that is being written may be checked: its last line may then seem torn. *on_file*
    is told the name of each file before it is read.
    """
    report = Report()
    seqs = []
    for path in _files(layout):
        on_file(layout.relative(path))
        of_file = FileReport(layout.relative(path))
        report.files.append(of_file)
        seqs.append(_check_file(path, of_file, report))
    _count_gaps(report, seqs)
    for directory in layout.run_directories():
        if _is_unreadable(layout, directory):
            report.unreadable_runs.append(layout.relative(directory))
    return report


def repair(layout: Layout, *, on_file: Callable[[str], object] = lambda _: None) -> Report:
    """
    Set aside whatever `check` finds damaged, and return what it found and what was done.

    Damaged lines go to `.telemetry/torn`, a file each, with the place they stood at in the name;
    the lines around them stay as they are, also where two events have the same seq: nobody can say
    which of them it belongs to. The checkpoint and the indexes are removed, so that the
    next start makes them from the lines.

    Raises:
        StorageInUseError: A process writes there.
    """
    make_directory(layout.private)
    lock = Lock(layout.lock, str(layout.site_dir))
    try:
        report = check(layout, on_file=on_file)
        damaged = dict.fromkeys(one.file for one in report.damage)
        for name in damaged:
            path = layout.site_dir / name
            torn = mend_tail(layout, path)
            end = path.stat().st_size
            report.mended += _take_out(layout, path)
            if torn is not None:
                report.mended.append(_moved(layout, path, end, torn))
        for place in report.unreadable_runs:
            report.mended.append(_rewrite_run(layout, layout.site_dir / place))
        if report.mended or damaged:
            layout.checkpoint.unlink(missing_ok=True)
            for name in damaged:
                layout.index_of(layout.site_dir / name).unlink(missing_ok=True)
        return report
    finally:
        lock.close()


def _files(layout: Layout) -> Iterator[Path]:
    for _, path in layout.site_files():
        yield path
    for directory in layout.run_directories():
        if (directory / RUN_LINES).exists():
            yield directory / RUN_LINES


@frozen
class _Line:
    """A line at an offset: the seq of its event, or why it is none; an empty one has neither."""

    offset: int
    text: bytes
    seq: int | None = None
    reason: str | None = None


def _lines_of(path: Path) -> Iterator[_Line]:
    before = b""
    for start, block in read_blocks(path):
        offset = start
        for text in block[:-1].split(b"\n"):
            if text and text == before:
                yield _Line(offset, text, reason="the line before it once more")
            elif text.strip():
                yield _parsed(offset, text)
            else:
                yield _Line(offset, text)
            before = text
            offset += len(text) + 1


def _parsed(offset: int, text: bytes) -> _Line:
    try:
        return _Line(offset, text, parse(text).seq)
    except DamagedLineError as error:
        return _Line(offset, text, reason=str(error))


def _check_file(path: Path, of_file: FileReport, report: Report) -> list[int]:
    """Return the seqs in one file, in their order."""
    seqs: list[int] = []
    end = 0
    for line in _lines_of(path):
        end = line.offset + len(line.text) + 1
        if line.reason is not None:
            damage = Damage(of_file.file, line.offset, len(line.text), line.reason)
            report.damage.append(damage)
        if line.seq is None:
            continue
        if seqs and line.seq < seqs[-1]:
            reason = f"seq {line.seq} behind seq {seqs[-1]}"
            report.disorder.append(Damage(of_file.file, line.offset, len(line.text), reason))
        seqs.append(line.seq)
    rest = path.stat().st_size - end
    if rest > 0:
        report.damage.append(
            Damage(of_file.file, end, rest, "torn, or being written: no line break")
        )
    if seqs:
        of_file.events, of_file.first_seq, of_file.last_seq = len(seqs), seqs[0], seqs[-1]
        of_file.gaps = max(seqs) - min(seqs) + 1 - len(set(seqs))
    return seqs


def _count_gaps(report: Report, seqs: list[list[int]]) -> None:
    last: int | None = None
    for seq in merge(*map(sorted, seqs)):
        if last is not None:
            if seq == last:
                report.repeated.append(seq)
            report.gaps += max(0, seq - last - 1)
        last = seq


def _is_unreadable(layout: Layout, directory: Path) -> bool:
    try:
        facts_of(layout, directory)
    except FileNotFoundError:
        return False
    except Exception:  # noqa: BLE001  # whatever is in the file
        return True
    return False


def _take_out(layout: Layout, path: Path) -> list[str]:
    """Set every damaged line of one file aside, and put the rest in its place."""
    done = []
    new = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(new, flags, FILE_MODE)
    try:
        os.fchmod(fd, stat.S_IMODE(path.stat().st_mode))
        for line in _lines_of(path):
            if line.reason is None:
                write_all(fd, line.text + b"\n")
            else:
                aside = set_aside(layout, path, line.offset, line.text)
                done.append(_moved(layout, path, line.offset, aside))
        os.fsync(fd)
    finally:
        os.close(fd)
    new.replace(path)
    sync_directory(path.parent)
    return done


def _moved(layout: Layout, path: Path, offset: int, aside: Path) -> str:
    return f"{layout.relative(path)} at {offset}: moved to {aside}"


def _rewrite_run(layout: Layout, directory: Path) -> str:
    """Put facts made of the lines in the place of a `run.json` that cannot be read."""
    facts = directory / RUN_FACTS
    aside = set_aside(layout, facts, 0, facts.read_bytes())
    run = read_run(layout, directory)
    if run is None:
        facts.unlink()
    else:
        events = sum(1 for _ in read_events(directory / RUN_LINES))
        write_run(directory, evolve(run, events=events))
    return f"{layout.relative(facts)}: moved to {aside}"
