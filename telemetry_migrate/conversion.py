"""Reading one collection quickly: each record becomes a line in the spill of its day."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import orjson
from attrs import define, field, frozen

from telemetry_migrate.archive import Collection
from telemetry_migrate.days import DayRule, day_rule
from telemetry_migrate.framing import BOM, Framing
from telemetry_migrate.lines import MAX_LINE, line_blocks
from telemetry_migrate.quick import QuickWay
from telemetry_migrate.records import RecordReader, RefusedRecordError
from telemetry_migrate.rejects import Reject, RejectsWriter
from telemetry_migrate.spill import Spill

_PART_BYTES = 8 * 1024 * 1024


@define
class Converted:
    """What came out of a collection."""

    lines: int = 0
    read: int = 0
    rejected: int = 0
    nulled: int = 0
    days: dict[str, int] = field(factory=dict)


@frozen
class Part:
    """A part of a collection: *size* bytes from *start* on, to be spilled into *directory*."""

    collection: Collection
    start: int
    size: int
    directory: Path
    day: str
    timezone: str | None

    @property
    def rejects(self) -> Path:
        """The file of what is rejected, its lines counted from the beginning of the part."""
        return self.directory / "rejects"


def convert_part(part: Part) -> Converted:
    """Convert one *part* of a collection."""
    spill = Spill(part.directory)
    rule = day_rule(part.day, part.timezone)
    with RejectsWriter(part.rejects) as rejects:
        conversion = Conversion(rule, spill, rejects.write)
        done = conversion.convert(part.collection, part.start, part.size)
        rejects.finish()
    spill.flush()
    done.days = spill.counts
    return done


def parts_of(collection: Collection, directory: Path, day: str, timezone: str | None) -> list[Part]:
    """Return the parts of *collection*, to be spilled below *directory*."""
    return [
        Part(collection, start, size, directory / f"{number}", day, timezone)
        for number, (start, size) in enumerate(divided(collection))
    ]


def divided(collection: Collection) -> list[tuple[int, int]]:
    """
    Divide *collection* where a record surely begins, at a line that begins with `{"`.

    Return where each part begins, and its size. Only a file that begins with an object is divided;
    one that is a list is not, nor one that cannot be read.
    """
    starts = [0]
    with contextlib.suppress(OSError), collection.open() as file:
        if file.read(4).removeprefix(BOM).startswith(b"{"):
            while (begun := _record_from(file, starts[-1] + _PART_BYTES)) is not None:
                if begun >= collection.size:
                    break
                starts.append(begun)
    ends = [*starts[1:], collection.size]
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]


def _record_from(file: BinaryIO, offset: int) -> int | None:
    """Return where the first record at or behind *offset* begins, if there is one soon."""
    file.seek(offset)
    found = file.read(2 * MAX_LINE).find(b'\n{"')
    return None if found < 0 else offset + found + 1


class Conversion:
    """
    Spills the records of collections by day, and hands on what has to be rejected.

    Nearly every record takes the quick way. Whatever looks odd in the least is given to a
    `RecordReader`.
    """

    def __init__(self, rule: DayRule, spill: Spill, reject: Callable[[Reject], None]) -> None:
        self._rule = rule
        self._spill = spill
        self._reject = reject
        self._reader = RecordReader()
        self._quick = QuickWay(rule, spill)

    def convert(self, collection: Collection, start: int, size: int) -> Converted:
        """
        Convert *size* bytes of *collection* from *start* on.

        A file that cannot be read is one reject.
        """
        done = Converted()
        nulled = self._reader.nulled
        framing = Framing()
        try:
            with collection.open() as file:
                file.seek(start)
                for lines in line_blocks(file, size):
                    self._convert_lines(lines, framing, collection, done)
            for text in framing.end():
                self._convert_carefully(text, framing.number, collection, done)
        except OSError as error:
            done.read += 1
            self._refuse(collection, None, f"cannot be read: {error.strerror}", b"", done)
        done.nulled = self._reader.nulled - nulled
        done.lines = framing.lines
        return done

    def _convert_lines(
        self, lines: list[bytes], framing: Framing, collection: Collection, done: Converted
    ) -> None:
        if not self._quick.is_ready:  # the first record makes it so, if it can be
            lines, first = lines[1:], lines[:1]
            self._convert_each(first, framing, collection, done)
        if lines and not framing.is_open and self._quick.take_block(lines):
            framing.skip(len(lines))
            done.read += len(lines)
        else:
            self._convert_each(lines, framing, collection, done)

    def _convert_each(
        self, lines: list[bytes], framing: Framing, collection: Collection, done: Converted
    ) -> None:
        for line in lines:
            if not framing.is_open and self._quick.take_line(line):
                framing.skip(1)
                done.read += 1
                continue
            for text in framing.take(line):
                self._convert_carefully(text, framing.number, collection, done)

    def _convert_carefully(
        self, text: bytes, number: int, collection: Collection, done: Converted
    ) -> None:
        done.read += 1
        if len(text) >= MAX_LINE:
            self._refuse(collection, number, "longer than 1 MiB; raw is its start", text, done)
            return
        try:
            ts, line = self._reader.read(text, collection.name)
        except RefusedRecordError as error:
            self._refuse(collection, number, str(error), text, done)
            return
        self._spill.add(self._rule(ts).key, line)
        self._quick.know(orjson.loads(b"{" + line)["type"])

    def _refuse(
        self, collection: Collection, line: int | None, reason: str, raw: bytes, done: Converted
    ) -> None:
        done.rejected += 1
        self._reject(Reject(collection.path.name, line, reason, raw[:MAX_LINE]))
