"""Reading one collection quickly: each record becomes a line in the spill of its day."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from attrs import define, field, frozen

from telemetry_core.codec import MAX_DEPTH
from telemetry_migrate.archive import Collection
from telemetry_migrate.days import Day, DayRule, day_rule
from telemetry_migrate.framing import BOM, Framing
from telemetry_migrate.lines import MAX_LINE, line_blocks
from telemetry_migrate.records import ORIGIN, RecordReader, RefusedRecordError
from telemetry_migrate.rejects import Reject, RejectsWriter
from telemetry_migrate.spill import Spill

_PART_BYTES = 8 * 1024 * 1024
_SURELY_SHALLOW = 2 * MAX_DEPTH
_SURELY_SMALL = 64 * 1024
_KNOWN_TYPES_KEPT = 10_000
_SQUEEZE = bytes.maketrans(b"123456789", b"000000000")
_BLANKS = b" \t\r"
_LONG_NUMBER = b"0" * 19
"""So many digits may be an integer beyond 64 bits, which orjson would turn into a float."""


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
    with RecordReader() as reader, RejectsWriter(part.rejects) as rejects:
        conversion = Conversion(rule, spill, rejects.write, reader)
        done = conversion.convert(part.collection, part.start, part.size)
        rejects.finish()
    spill.flush()
    done.days = spill.counts
    return done


def parts_of(collection: Collection, directory: Path, day: str, timezone: str | None) -> list[Part]:
    """
    Divide *collection* where a record surely begins: at a line that begins with `{"`.

    Only a file that begins with an object is divided; one that is a list is not, nor one that
    cannot be read.
    """
    size = collection.path.stat().st_size
    starts = [0]
    with contextlib.suppress(OSError), collection.path.open("rb") as file:
        if file.read(4).removeprefix(BOM).startswith(b"{"):
            while (begun := _record_from(file, starts[-1] + _PART_BYTES)) is not None:
                starts.append(begun)
    ends = [*starts[1:], size]
    return [
        Part(collection, start, end - start, directory / f"{number}", day, timezone)
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def _record_from(file: BinaryIO, offset: int) -> int | None:
    """Return where the first record at or behind *offset* begins, if there is one soon."""
    file.seek(offset)
    found = file.read(2 * MAX_LINE).find(b'\n{"')
    return None if found < 0 else offset + found + 1


class Conversion:
    """
    Spills the records of collections by day, and hands on what has to be rejected.

    Nearly every record takes the quick way: one orjson call to read it, a few looks at it, one
    call to write it. Whatever looks odd in the least is given to a `RecordReader`.
    """

    def __init__(
        self, rule: DayRule, spill: Spill, reject: Callable[[Reject], None], reader: RecordReader
    ) -> None:
        self._rule = rule
        self._spill = spill
        self._reject = reject
        self._reader = reader
        self._types: set[str] = set()
        self._days: dict[str, list[Day]] = {}
        self._day = Day("", "~", "")
        self._lines: list[bytes] = []

    def convert(self, collection: Collection, start: int = 0, size: int | None = None) -> Converted:
        """
        Convert *size* bytes of *collection* from *start* on, or all of it.

        A file that cannot be read is one reject.
        """
        done = Converted()
        nulled = self._reader.nulled
        framing = Framing()
        try:
            with collection.path.open("rb") as file:
                file.seek(start)
                for lines in line_blocks(file, size):
                    self._convert_lines(lines, framing, collection, done)
                    self._spill.settle(sum(map(len, lines)))
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
        loads, dumps, parse = orjson.loads, orjson.dumps, datetime.fromisoformat
        newline = orjson.OPT_APPEND_NEWLINE
        start, end, keep = self._day.start, self._day.end, self._lines.append
        types = self._types
        squeezed = b"\n".join(lines).translate(_SQUEEZE, _BLANKS)
        has_long_numbers = _LONG_NUMBER in squeezed
        quick = 0
        for line, bare in zip(lines, squeezed.split(b"\n"), strict=True):
            # Anything unusual raises or fails a look, and goes the careful way below.
            try:
                if framing.is_open:
                    raise ValueError  # noqa: TRY301
                record = loads(line)
                date, type_, data = record["date"], record["type"], record["data"]
                if (
                    type_ in types
                    and len(record) == 4  # noqa: PLR2004
                    and len(date) == 26  # noqa: PLR2004  # 2026-03-18T00:05:48.955398
                    and date[10] == "T"
                    and date[19] == "."
                    and parse(date).tzinfo is None
                    and _has_each_key_once(data, bare.count(b'":') - 4)
                    and not (has_long_numbers and _LONG_NUMBER in bare)
                ):
                    ts = date + "Z"
                    text = dumps(
                        {
                            "ts": ts,
                            "type": type_,
                            "data": data,
                            "meta": {"migrated_from": ORIGIN, "original_id": record["_id"]},
                        },
                        None,
                        newline,
                    )
                    if not start <= ts < end:
                        self._enter_known_day(ts)
                        start, end, keep = self._day.start, self._day.end, self._lines.append
                    if len(text) < _SURELY_SHALLOW or _is_tame(text):
                        keep(text[1:])  # a copy, as line_of makes one
                        quick += 1
                        continue
            except (ValueError, TypeError, LookupError, AttributeError):
                pass
            framing.skip(quick)
            done.read += quick
            quick = 0
            for text in framing.take(line):
                self._convert_carefully(text, framing.number, collection, done)
            start, end, keep = self._day.start, self._day.end, self._lines.append
        framing.skip(quick)
        done.read += quick

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
        try:
            self._enter_known_day(ts)
        except LookupError:
            self._day = self._rule(ts)
            self._days.setdefault(ts[:10], []).append(self._day)
            self._lines = self._spill.lines_of(self._day.key)
        self._lines.append(line)
        if len(self._types) < _KNOWN_TYPES_KEPT:
            self._types.add(orjson.loads(b"{" + line)["type"])

    def _enter_known_day(self, ts: str) -> None:
        """Go to the day of *ts*, if the careful way was there before; else raise `LookupError`."""
        for day in self._days[ts[:10]]:
            if day.start <= ts < day.end:
                self._day = day
                self._lines = self._spill.lines_of(day.key)
                return
        raise LookupError(ts)

    def _refuse(
        self, collection: Collection, line: int | None, reason: str, raw: bytes, done: Converted
    ) -> None:
        done.rejected += 1
        self._reject(Reject(collection.path.name, line, reason, raw[:MAX_LINE]))


def _has_each_key_once(data: Any, keys_written: int) -> bool:
    """
    Whether the text that *data* was read from had each key of each object once.

    The quotes before colons in it, counted, are at least its keys: so if they are as many as the
    keys that were read, none stood there twice, of which orjson would have kept the last.
    """
    if data.__class__ is dict and len(data) == keys_written:
        return True
    return keys_written == _keys_in(data)


def _keys_in(value: Any) -> int:
    """Return how many keys there are in all objects of *value*."""
    if value.__class__ is dict:
        return len(value) + sum(
            [_keys_in(each) for each in value.values() if each.__class__ in (dict, list)]
        )
    if value.__class__ is list:
        return sum([_keys_in(each) for each in value])
    return 0


def _is_tame(line: bytes) -> bool:
    """Whether *line* is surely not too large and does not nest too deep."""
    return len(line) < _SURELY_SMALL and line.count(b"[") + line.count(b"{") <= MAX_DEPTH
