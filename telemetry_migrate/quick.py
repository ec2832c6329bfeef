"""The quick way, for what nearly every record looks like: it writes what the careful one would."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import orjson

from telemetry_core.clock import parse_ts
from telemetry_core.codec import MAX_DEPTH
from telemetry_migrate.days import Day, DayRule
from telemetry_migrate.records import ORIGIN

_SURELY_SMALL: Final = 64 * 1024
_KNOWN_TYPES_KEPT: Final = 10_000
_FIELDS: Final = 4
_DATE: Final = len("2026-03-18T00:05:48.955398")

_SQUEEZE: Final = bytes.maketrans(b"123456789", b"000000000")
_BLANKS: Final = b" \t\r"
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

    def __init__(self, rule: DayRule, lines_of: Callable[[str], list[bytes]]) -> None:
        self._rule = rule
        self._lines_of = lines_of
        self._types: dict[str, bytes] = {}
        self._days: dict[str, list[Day]] = {}

    def know(self, type_: str) -> None:
        """Take what is of this type from now on."""
        if len(self._types) < _KNOWN_TYPES_KEPT:
            self._types[type_] = orjson.dumps(type_)

    def squeeze(self, lines: list[bytes]) -> bytes:
        """Return *lines* without blanks, each digit a zero, so that oddities are found quickly."""
        return b"\n".join(lines).translate(_SQUEEZE, _BLANKS)

    def take_block(self, lines: list[bytes], squeezed: bytes) -> bool:
        """
        Convert all *lines*, if each is a record of flat data on a line of its own, or none.

        The quotes before colons are counted over all of them: they are at least as many as the
        keys, so if they are no more, no key stood twice in one object.
        """
        if (
            _LONG_NUMBER in squeezed
            or _NUL in squeezed
            or b"[" in squeezed
            or len(max(lines, key=len)) > _SURELY_SMALL
        ):
            return False
        dumps, parse, types = orjson.dumps, datetime.fromisoformat, self._types
        found: list[tuple[list[bytes], list[bytes]]] = []
        start, end = "~", ""
        keep: Callable[[bytes], None] = _keep_nothing
        try:
            records = list(map(orjson.loads, lines))
            keys = sum([len(record["data"]) for record in records]) + _FIELDS * len(records)
            if squeezed.count(b'":') != keys:
                return False
            for record in records:
                date, data = record["date"], record["data"]
                if (
                    data.__class__ is not dict
                    or len(record) != _FIELDS
                    or len(date) != _DATE
                    or date[10] != "T"
                    or date[19] != "."
                    or parse(date).tzinfo is not None
                ):
                    return False
                if not start <= date < end:
                    day = self._day_of(date)
                    start, end = day.start, day.end
                    found.append((self._lines_of(day.key), []))
                    keep = found[-1][1].append
                keep(
                    _LINE
                    % (
                        date.encode(),
                        types[record["type"]],
                        dumps(data),
                        _ORIGIN,
                        dumps(record["_id"]),
                    )
                )
        except (ValueError, TypeError, LookupError, AttributeError):
            return False
        for kept, new in found:
            kept.extend(new)
        return True

    def take_line(self, line: bytes, squeezed: bytes) -> bool:
        """Convert one *line*, if it is a record that could not be misread; its data may nest."""
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
            self._lines_of(self._day_of(date).key).append(text)
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


def _keep_nothing(_: bytes) -> None:
    """Stand where the lines of no day go."""


def _keys_in(value: Any) -> int:
    """Return how many keys there are in all objects of *value*."""
    if value.__class__ is dict:
        return len(value) + sum(
            [_keys_in(each) for each in value.values() if each.__class__ in (dict, list)]
        )
    if value.__class__ is list:
        return sum([_keys_in(each) for each in value])
    return 0
