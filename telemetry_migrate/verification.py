"""Comparing source and target record by record, by another way than the one that migrated them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

from telemetry_migrate.archive import Collection
from telemetry_migrate.days import DayRule
from telemetry_migrate.framing import Framing
from telemetry_migrate.lines import MAX_LINE, line_blocks
from telemetry_migrate.records import RecordReader, RefusedRecordError
from telemetry_migrate.report import VerifiedCount

_MODULUS = 2**128
_FIELDS = ("ts", "type", "data", "meta")


class Tally:
    """
    Counts lines by day and type, with a sum of hashes that does not depend on their order.

    The hash is over the values of a line, read by the standard library, not over its bytes.
    """

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], tuple[int, int]] = {}

    def add(self, day: str, line: bytes, *, times: int = 1) -> None:
        """Count *line*, or take it off again with *times* -1; its seq does not matter."""
        event = json.loads(line if line.startswith(b"{") else b"{" + line)
        values = json.dumps([event[name] for name in _FIELDS], sort_keys=True)
        digest = int.from_bytes(blake2b(values.encode(), digest_size=16).digest(), "big")
        key = (day, event["type"])
        count, total = self._sums.get(key, (0, 0))
        self._sums[key] = (count + times, (total + times * digest) % _MODULUS)

    def compare(self, found: Tally) -> tuple[VerifiedCount, ...]:
        """Return what this tally, which is what to expect, and *found* say of each day and type."""
        rows = []
        for key in sorted(self._sums | found._sums):
            expected, expected_sum = self._sums.get(key, (0, 0))
            count, found_sum = found._sums.get(key, (0, 0))
            if expected or count:
                rows.append(
                    VerifiedCount(
                        day=key[0],
                        type=key[1],
                        expected=expected,
                        found=count,
                        expected_hash=f"{expected_sum:032x}",
                        found_hash=f"{found_sum:032x}",
                    )
                )
        return tuple(rows)


def tally_source(tally: Tally, collections: Iterable[Collection], rule: DayRule) -> None:
    """Add every record of *collections* that can be migrated to *tally*."""
    reader = RecordReader()
    for collection in collections:
        for text in _records(collection):
            try:
                ts, line = reader.read(text, collection.name)
            except RefusedRecordError:
                continue
            tally.add(rule(ts).key, line)


def tally_day_file(tally: Tally, day: str, path: Path) -> None:
    """Add every line of a day file to *tally*."""
    with path.open("rb") as file:
        for line in file:
            tally.add(day, line)


def _records(collection: Collection) -> Iterator[bytes]:
    framing = Framing()
    try:
        with collection.open() as file:
            for lines in line_blocks(file, collection.size):
                for line in lines:
                    yield from (text for text in framing.take(line) if len(text) < MAX_LINE)
            yield from framing.end()
    except OSError:
        return  # it is a reject already
