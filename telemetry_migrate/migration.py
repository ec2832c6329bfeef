"""Migrating the files of a PanFileDB into day files, with proof."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from attrs import evolve

from telemetry_migrate.archive import Collection, find_collections
from telemetry_migrate.conversion import Part, convert_part, parts_of
from telemetry_migrate.dayfile import DayResult, DayTask, do_day
from telemetry_migrate.days import UTC_DAY, day_rule
from telemetry_migrate.errors import ForeignEventsError, LostLinesError, TargetExistsError
from telemetry_migrate.progress import READING, VERIFYING, WRITING, Meter, ShowProgress
from telemetry_migrate.rejects import RejectsWriter, printable, read_rejects
from telemetry_migrate.report import FileReport, Report
from telemetry_migrate.spill import Spill
from telemetry_migrate.target import Target, is_same_file
from telemetry_migrate.verification import Tally, tally_day_file, tally_source
from telemetry_migrate.workers import MapTasks, available_jobs, workers

_LARGE_BYTES: Final = 32 * 1024 * 1024
"""From here on it is worth starting other processes."""


def migrate(
    source: str | os.PathLike[str],
    dest: str | os.PathLike[str],
    *,
    day: str = UTC_DAY,
    timezone: str | None = None,
    merge: bool = False,
    dry_run: bool = False,
    verify: bool = False,
    rejects: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    progress: ShowProgress | None = None,
) -> Report:
    """
    Write the collections of the PanFileDB directory *source* as day files into *dest*.

    A day is that of the UTC date of a record's `date`; with *day* `"observing"` it is the one from
    noon to noon in *timezone* (an IANA name), as a recorder has it. Every record is accounted for:
    it is written, was there already, or stands in the rejects file with the reason
    (`dest/.telemetry/rejected.ndjson`, or *rejects*).

    A file that is there and holds something else is never replaced, unless *merge* is given, which
    adds what is missing to it. Nothing is put in place before all is ready, and each file at once:
    after a kill, the same call completes it to the same bytes. A recorder cannot write to *dest*
    meanwhile. With *dry_run* nothing is written. With *verify* both sides are read again and
    compared. A large archive is worked on by *jobs* processes, one for each processor unless given.
    *progress* is called with a `Progress` from time to time.

    Memory stays the same however large the archive is; the disk of *dest* holds it twice more
    meanwhile. What is appended to the archive after the call began is left to another one.

    Raises:
        SourceNotFoundError: There is no collection in *source*.
        TargetExistsError: Day files in *dest* hold something else; nothing was changed.
        ForeignEventsError: A recorder has written to *dest*; nothing was changed.
        StorageInUseError: A recorder or another migration is at work in *dest*.
        ValueError: There is no such rule or zone.
        OSError: *dest* cannot be written.
    """
    day_rule(day, timezone)
    source, target = Path(source), Target(Path(dest))
    collections = find_collections(source)
    with ExitStack() as held:
        if dry_run:
            scratch = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="migrate-")))
            work = held.enter_context(target.unchanged(scratch))
        else:
            work = held.enter_context(target.locked())
        target.check_free_of_recorder()
        default = None if dry_run else target.rejects
        writer = held.enter_context(RejectsWriter(Path(rejects) if rejects else default))
        job = _Migration(target, work, day, timezone, merge=merge, verify=verify, progress=progress)
        report = job.run(collections, writer, jobs)
        report = evolve(report, source=str(source), dest=str(dest), is_dry_run=dry_run)
        if not dry_run:
            report = evolve(report, rejects_file=writer.finish())
            target.put_in_place(job.staged)
            if verify:
                report = job.verify(report, collections)
        elif rejects is not None:
            report = evolve(report, rejects_file=writer.finish())
        return report


class _Migration:
    """One migration: reading the source by day, then writing the days in order."""

    def __init__(
        self,
        target: Target,
        work: Path,
        day: str,
        timezone: str | None,
        *,
        merge: bool,
        verify: bool,
        progress: ShowProgress | None,
    ) -> None:
        self.staged: dict[str, Path] = {}
        self._target = target
        self._work = work
        self._day, self._timezone = day, timezone
        self._rule = day_rule(day, timezone)
        self._progress = progress
        self._there = target.day_files()
        self._tally = Tally() if verify else None
        self._kept = Spill(work / "kept") if merge else None
        self._added: dict[str, list[Path]] = {}
        self._counts: Counter[str] = Counter()

    def run(
        self, collections: list[Collection], rejects: RejectsWriter, jobs: int | None
    ) -> Report:
        """Stage every day file that differs from what is there."""
        total = sum(each.size for each in collections)
        is_large = total >= _LARGE_BYTES
        wanted = jobs if jobs is not None else available_jobs() if is_large else 1
        with workers(wanted) as map_tasks:
            report = self._read(collections, total, rejects, map_tasks)
            if self._kept is not None:
                self._read_what_is_there(self._kept)
            return self._write(report, map_tasks)

    def verify(self, report: Report, collections: list[Collection]) -> Report:
        """Return *report* with what both sides hold, read again."""
        expected, found = self._tally or Tally(), Tally()
        tally_source(expected, collections, self._rule)
        meter = Meter(self._progress, VERIFYING, len(report.days), "days")
        for day in report.days:
            tally_day_file(found, day, self._target.path_of(day))
            meter.add(1)
        return evolve(report, verified=expected.compare(found))

    def _read(
        self,
        collections: list[Collection],
        total: int,
        rejects: RejectsWriter,
        map_tasks: MapTasks,
    ) -> Report:
        meter = Meter(self._progress, READING, total, "bytes")
        parts = self._parts_of(collections)
        files: dict[str, FileReport] = {}
        lines: Counter[str] = Counter()
        nulled = 0
        for part, done in zip(parts, map_tasks(convert_part, parts), strict=True):
            name = part.collection.path.name
            for values in read_rejects(part.rejects, lines[name]):
                rejects.write_values(values)
            lines[name] += done.lines
            before = files.get(name, FileReport(file=printable(name)))
            files[name] = evolve(
                before, read=before.read + done.read, rejected=before.rejected + done.rejected
            )
            nulled += done.nulled
            for day, count in done.days.items():
                self._added.setdefault(day, []).append(part.directory / day)
                self._counts[day] += count
            meter.add(part.size)
        return Report(
            source="",
            dest="",
            read=sum(each.read for each in files.values()),
            rejected=sum(each.rejected for each in files.values()),
            nulled=nulled,
            files=tuple(files.values()),
        )

    def _parts_of(self, collections: list[Collection]) -> list[Part]:
        parts = []
        for number, collection in enumerate(collections):
            directory = self._work / f"added-{number}"
            directory.mkdir()
            parts += parts_of(collection, directory, self._day, self._timezone)
        return parts

    def _read_what_is_there(self, kept: Spill) -> None:
        for day, path in self._there.items():
            for ts, line in self._target.unnumbered_lines(path):
                if self._rule(ts).key != day:
                    reason = f"{path.name} holds an event of {ts}: its days follow another --day"
                    raise ForeignEventsError(str(self._target.dest), reason)
                if self._tally is not None:
                    self._tally.add(day, line)
                kept.add(day, line)
        kept.flush()

    def _write(self, report: Report, map_tasks: MapTasks) -> Report:
        """Stage the day files, and return *report* with what they hold."""
        kept = self._kept.counts if self._kept is not None else {}
        days = sorted({*self._counts, *kept})
        # As many lines as each will have, unless the archive holds a record twice.
        guessed = {day: max(self._counts[day], kept.get(day, 0)) for day in days}
        tasks = self._tasks(days, guessed)
        meter = Meter(self._progress, WRITING, len(days), "days")
        results: dict[str, DayResult] = {}
        for task, result in zip(tasks, map_tasks(do_day, tasks), strict=True):
            results[task.day] = result
            meter.add(1)
        right = self._tasks(days, {day: results[day].lines for day in days})
        again = [task for task, first in zip(right, tasks, strict=True) if task != first]
        for _ in map_tasks(do_day, again):
            pass
        self._tally_repeated(tasks)
        return self._placed(report, results)

    def _tasks(self, days: list[str], lines: Mapping[str, int]) -> list[DayTask]:
        """Return the tasks of *days*, if each has so many *lines*."""
        tasks, seq = [], 1
        for day in days:
            path = self._work / f"site_{day}"
            kept = None if self._kept is None else self._kept.path_of(day)
            repeated = None if self._tally is None else self._work / f"repeated_{day}"
            tasks.append(DayTask(day, path, tuple(self._added.get(day, ())), kept, seq, repeated))
            seq += lines[day]
        return tasks

    def _tally_repeated(self, tasks: list[DayTask]) -> None:
        for task in tasks:
            if self._tally is not None and task.repeated is not None:
                with task.repeated.open("rb") as file:
                    for line in file:
                        self._tally.add(task.day, line, times=-1)

    def _placed(self, report: Report, results: Mapping[str, DayResult]) -> Report:
        """Return *report* with the *results*, and note which files are to be put in place."""
        conflicts = {*self._there} - {*results}
        written = there = 0
        for day, result in results.items():
            if result.added + result.repeated != self._counts[day]:
                raise LostLinesError(day, self._counts[day], result.added + result.repeated)
            staged, target = self._work / f"site_{day}", self._there.get(day)
            there += result.repeated
            if target is not None and is_same_file(staged, target):
                there += result.added
                continue
            written += result.added
            self.staged[day] = staged
            if target is not None and self._kept is None:
                conflicts.add(day)
        if conflicts:
            names = [self._target.path_of(day).name for day in sorted(conflicts)]
            raise TargetExistsError(str(self._target.dest), names)
        return evolve(
            report,
            written=written,
            already_there=there,
            days={day: result.lines for day, result in results.items()},
        )
