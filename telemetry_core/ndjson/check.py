"""Checking a site directory line by line, and setting aside what is damaged in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from heapq import merge
from typing import TYPE_CHECKING

import orjson
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
from telemetry_core.ndjson.runfile import read_run, write_run

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
        if _is_unreadable(directory):
            report.unreadable_runs.append(layout.relative(directory))
    return report


def repair(layout: Layout, *, on_file: Callable[[str], object] = lambda _: None) -> Report:
    """
    Set aside whatever `check` finds damaged, and return what it found and what was done.

    Damaged lines go to `.telemetry/torn`, a file each, with the place they stood at in the name;
    the lines around them stay as they are. The checkpoint and the indexes are removed, so that the
    next start makes them from the lines.

    Raises:
        StorageInUseError: A process writes there.
    """
    make_directory(layout.private)
    lock = Lock(layout.lock, str(layout.site_dir))
    try:
        report = check(layout, on_file=on_file)
        damaged = {one.file for one in report.damage}
        for name in damaged:
            path = layout.site_dir / name
            mend_tail(layout, path)
            report.mended += _take_out(layout, path)
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


def _check_file(path: Path, of_file: FileReport, report: Report) -> list[int]:
    """Return the seqs in one file, in their order."""
    seqs: list[int] = []
    end = 0
    for offset, block in read_blocks(path):
        at = offset
        for text in block[:-1].split(b"\n"):
            try:
                seq = parse(text).seq
            except DamagedLineError as error:
                report.damage.append(Damage(of_file.file, at, len(text), str(error)))
            else:
                if seqs and seq < seqs[-1]:
                    reason = f"seq {seq} behind seq {seqs[-1]}"
                    report.disorder.append(Damage(of_file.file, at, len(text), reason))
                seqs.append(seq)
            at += len(text) + 1
        end = at
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


def _is_unreadable(directory: Path) -> bool:
    try:
        facts = orjson.loads((directory / RUN_FACTS).read_bytes())
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return not isinstance(facts, dict) or "run_id" not in facts or "started_at" not in facts


def _take_out(layout: Layout, path: Path) -> list[str]:
    """Set every damaged line of one file aside, and put the rest in its place."""
    done = []
    new = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(new, flags, FILE_MODE)
    try:
        for offset, block in read_blocks(path):
            at = offset
            for text in block[:-1].split(b"\n"):
                try:
                    parse(text)
                except DamagedLineError:
                    if text.strip():
                        aside = set_aside(layout, path, at, text)
                        done.append(f"{layout.relative(path)} at {at}: moved to {aside}")
                else:
                    write_all(fd, text + b"\n")
                at += len(text) + 1
        os.fsync(fd)
    finally:
        os.close(fd)
    new.replace(path)
    sync_directory(path.parent)
    return done


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
