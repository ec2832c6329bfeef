"""The quick way, for what nearly every record looks like: it writes what the careful one would."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Any, Final

import orjson

from telemetry_core.clock import parse_ts
from telemetry_core.codec import MAX_DEPTH
from telemetry_migrate.days import Day, DayRule
from telemetry_migrate.records import ORIGIN
from telemetry_migrate.spill import Spill

_SURELY_SMALL: Final = 64 * 1024
_KNOWN_TYPES_KEPT: Final = 10_000
_FIELDS: Final = 4
_NEW_FIELDS: Final = 6
_SURELY_READ_BACK: Final = MAX_DEPTH // 2
"""So many more braces than the lines have themselves cannot nest too deep."""

_NO_MARKS: Final = bytes({*range(256)} - {*b":{"})
_DATE: Final = len("2026-03-18T00:05:48.955398")

_date_marks = itemgetter(slice(4, 20, 3))
"""Returns the characters `--T::.` of a date."""

_zone = attrgetter("tzinfo")

_BLANKS: Final = b" \t\r"
_SQUEEZE: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER: Final = b"0" * 19
_LONG_INTEGER: Final = re.compile(rb"(?<![.0])0{19}")
"""So many digits may be an integer beyond 64 bits, of which orjson would make a float."""

_NUL: Final = b"\\u0000"
"""The character NUL, or with other digits another one, squeezed."""

_LINE: Final = b'"ts":"%bZ","type":%b,"data":%b,"meta":{"migrated_from":"%b","original_id":%b}}\n'
_ORIGIN: Final = ORIGIN.encode()


class QuickWay:
    """
    Converts what it surely understands, and leaves the rest to the careful way.

    It takes only types that the careful way has accepted before, and only text in which nothing can
    hide that orjson would change (a key twice, an integer beyond 64 bits) or a recorder refuse.
    """

    def __init__(self, rule: DayRule, spill: Spill) -> None:
        self._rule = rule
        self._spill = spill
        self._types: dict[str, bytes] = {}
        self._days: dict[str, list[Day]] = {}

    @property
    def is_ready(self) -> bool:
        """Whether it knows a type."""
        return bool(self._types)

    def know(self, type_: str) -> None:
        """Take what is of this type from now on."""
        if len(self._types) < _KNOWN_TYPES_KEPT:
            self._types[type_] = orjson.dumps(type_)

    def take_block(self, lines: list[bytes]) -> bool:
        """
        Convert all *lines*, if each is a record on a line of its own, or none.

        Colons are counted before and after: where nothing is escaped, there are as many as keys,
        and those in texts. A key that stood twice, or a field that is not looked at, would take its
        colon with it.
        """
        text = b"\n".join(lines)
        if (
            b"[" in text
            or b"\\" in text
            or max(map(len, lines)) > _SURELY_SMALL
            or _LONG_NUMBER in text.translate(_SQUEEZE)
        ):
            return False
        dumps = orjson.dumps
        try:
            records = list(map(orjson.loads, lines))
            dates = [record["date"] for record in records]
            if not _are_naive(dates) or not {one["type"] for one in records} <= self._types.keys():
                return False
            new = [
                dumps(
                    {
                        "ts": f"{date}Z",
                        "type": record["type"],
                        "data": record["data"],
                        "meta": {"migrated_from": ORIGIN, "original_id": record["_id"]},
                    },
                    None,
                    orjson.OPT_APPEND_NEWLINE,
                )[1:]
                for record, date in zip(records, dates, strict=True)
            ]
            spilled = self._by_day(dates, new)
        except (ValueError, TypeError, LookupError, AttributeError):
            return False
        marks, new_marks = text.translate(None, _NO_MARKS), b"".join(new).translate(None, _NO_MARKS)
        fields = (_NEW_FIELDS - _FIELDS) * len(lines)
        if (
            marks.count(b":") + fields != new_marks.count(b":")
            or marks.count(b"{") > 2 * len(lines) + _SURELY_READ_BACK
        ):
            return False
        for day, some in spilled:
            self._spill.add(day, b"".join(some), len(some))
        return True

    def _by_day(self, dates: list[str], lines: list[bytes]) -> Iterable[tuple[str, list[bytes]]]:
        day = self._day_of(min(dates))
        if max(dates) < day.end:
            return [(day.key, lines)]
        found: dict[str, list[bytes]] = {}
        for date, line in zip(dates, lines, strict=True):
            if not day.start <= date < day.end:
                day = self._day_of(date)
            found.setdefault(day.key, []).append(line)
        return found.items()

    def take_line(self, line: bytes) -> bool:
        """
        Convert one *line*, if it is a record that could not be misread; its data may nest.

        The quotes before colons are counted: they are at least as many as the keys, so if they are
        no more, no key stood twice in one object.
        """
        squeezed = line.translate(_SQUEEZE, _BLANKS)
        try:
            record = orjson.loads(line)
            date, data = record["date"], record["data"]
            if (
                len(record) != _FIELDS
                or len(date) != _DATE
                or date[10] != "T"
                or date[19] != "."
                or datetime.fromisoformat(date).tzinfo is not None
                or squeezed.count(b'":') != _FIELDS + _keys_in(data)
                or _LONG_INTEGER.search(squeezed)
                or _NUL in squeezed
                or len(line) > _SURELY_SMALL
                or line.count(b"[") + line.count(b"{") > MAX_DEPTH
            ):
                return False
            text = _LINE % (
                date.encode(),
                self._types[record["type"]],
                orjson.dumps(data),
                _ORIGIN,
                orjson.dumps(record["_id"]),
            )
            self._spill.add(self._day_of(date).key, text)
        except (ValueError, TypeError, LookupError, AttributeError):
            return False
        return True

    def _day_of(self, date: str) -> Day:
        """Return the day of *date*; raise `ValueError` if it is none that a recorder takes."""
        days = self._days.setdefault(date[:10], [])
        for day in days:
            if day.start <= date < day.end:
                return day
        days.append(self._rule(parse_ts(f"{date}Z")[0]))
        return days[-1]


def _are_naive(dates: list[str]) -> bool:
    """Whether all *dates* are such as PanDB wrote, and instants in UTC with a Z behind them."""
    return (
        set(map(len, dates)) == {_DATE}
        and set(map(_date_marks, dates)) == {"--T::."}
        and set(map(_zone, map(datetime.fromisoformat, dates))) == {None}
    )


def _keys_in(value: Any) -> int:
    """Return how many keys there are in all objects of *value*."""
    if value.__class__ is dict:
        return len(value) + sum(
            [_keys_in(each) for each in value.values() if each.__class__ in (dict, list)]
        )
    if value.__class__ is list:
        return sum([_keys_in(each) for each in value])
    return 0
