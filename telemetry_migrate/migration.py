"""Migrating the files of a PanFileDB into day files, with proof."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from attrs import evolve

from telemetry_migrate.archive import Collection, find_collections
from telemetry_migrate.conversion import Conversion
from telemetry_migrate.dayfile import DayResult, write_day
from telemetry_migrate.days import UTC_DAY, DayRule, day_rule
from telemetry_migrate.errors import ForeignEventsError, TargetExistsError
from telemetry_migrate.progress import READING, VERIFYING, WRITING, Meter, ShowProgress
from telemetry_migrate.records import RecordReader
from telemetry_migrate.rejects import RejectsWriter
from telemetry_migrate.report import FileReport, Report
from telemetry_migrate.spill import Spill, sorted_lines
from telemetry_migrate.target import Target, is_same_file
from telemetry_migrate.verification import Tally, tally_day_file, tally_source


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
    compared. *progress* is called with a `Progress` from time to time.

    Memory stays the same however large the archive is; the disk of *dest* holds it once more.

    Raises:
        SourceNotFoundError: There is no collection in *source*.
        TargetExistsError: Day files in *dest* hold something else; nothing was changed.
        ForeignEventsError: A recorder has written to *dest*; nothing was changed.
        StorageInUseError: A recorder or another migration is at work in *dest*.
        ValueError: There is no such rule or zone.
        OSError: *dest* cannot be written.
    """
    rule = day_rule(day, timezone)
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
        job = _Migration(target, work, rule, merge=merge, verify=verify, progress=progress)
        report = job.run(collections, writer)
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
        rule: DayRule,
        *,
        merge: bool,
        verify: bool,
        progress: ShowProgress | None,
    ) -> None:
        self.staged: dict[str, Path] = {}
        self._target = target
        self._rule = rule
        self._progress = progress
        self._there = target.day_files()
        self._tally = Tally() if verify else None
        self._added = Spill(work / "added")
        self._kept = Spill(work / "kept") if merge else None
        self._staging = work / "staged"
        self._staging.mkdir()

    def run(self, collections: list[Collection], rejects: RejectsWriter) -> Report:
        """Stage every day file that differs from what is there."""
        report = self._read(collections, rejects)
        if self._kept is not None:
            self._read_what_is_there(self._kept)
        days = sorted({*self._added.counts, *(self._kept.counts if self._kept else ())})
        meter = Meter(self._progress, WRITING, sum(self._added.counts.values()), "records")
        conflicts = sorted({*self._there} - {*days})
        seq = 1
        for day in days:
            staged = self._staging / day
            result = self._write(day, staged, seq)
            seq += result.lines
            written = result.added
            there = self._there.get(day)
            if there is not None and is_same_file(staged, there):
                written = 0
            elif there is not None and self._kept is None:
                conflicts.append(day)
            else:
                self.staged[day] = staged
            report = evolve(
                report,
                written=report.written + written,
                already_there=report.already_there + result.repeated + result.added - written,
                days={**report.days, day: result.lines},
            )
            meter.add(result.added + result.repeated)
        if conflicts:
            names = [self._target.path_of(day).name for day in sorted(conflicts)]
            raise TargetExistsError(str(self._target.dest), names)
        return report

    def verify(self, report: Report, collections: list[Collection]) -> Report:
        """Return *report* with what both sides hold, read again."""
        expected, found = self._tally or Tally(), Tally()
        tally_source(expected, collections, self._rule)
        meter = Meter(self._progress, VERIFYING, len(report.days), "days")
        for day in report.days:
            tally_day_file(found, day, self._target.path_of(day))
            meter.add(1)
        return evolve(report, verified=expected.compare(found))

    def _read(self, collections: list[Collection], rejects: RejectsWriter) -> Report:
        total = sum(each.path.stat().st_size for each in collections)
        meter = Meter(self._progress, READING, total, "bytes")
        files = []
        with RecordReader() as reader:
            conversion = Conversion(self._rule, self._added, rejects.write, reader)
            for each in collections:
                done = conversion.convert(each, meter.add)
                files.append(
                    FileReport(file=each.path.name, read=done.read, rejected=done.rejected)
                )
            nulled = reader.nulled
        self._added.flush()
        return Report(
            source="",
            dest="",
            read=sum(each.read for each in files),
            rejected=sum(each.rejected for each in files),
            nulled=nulled,
            files=tuple(files),
        )

    def _read_what_is_there(self, kept: Spill) -> None:
        for day, path in self._there.items():
            lines = kept.lines_of(day)
            for ts, line in self._target.unnumbered_lines(path):
                if self._rule(ts).key != day:
                    reason = f"{path.name} holds an event of {ts}: its days follow another --day"
                    raise ForeignEventsError(str(self._target.dest), reason)
                if self._tally is not None:
                    self._tally.add(day, line)
                lines.append(line)
                kept.settle(len(line))
        kept.flush()

    def _write(self, day: str, path: Path, first_seq: int) -> DayResult:
        spilled = self._added.path_of(day)
        added = sorted_lines(spilled)
        kept = None if self._kept is None else sorted_lines(self._kept.path_of(day))
        tally = self._tally

        def repeated(line: bytes) -> None:
            if tally is not None:
                tally.add(day, line, times=-1)

        result = write_day(path, added, kept, first_seq, repeated=repeated)
        spilled.unlink(missing_ok=True)
        return result
