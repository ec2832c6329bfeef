"""Giving values back as what they were before they became JSON, on request only."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from importlib import import_module
from typing import Any, Literal

Decoding = Literal["panoptes", "units"]
Decoder = Callable[[Any], Any]

_UNITS_IN_TEXT = ("deg", "m", "s")
_DATE = re.compile(
    r"(?P<year>\d{4})"
    r"(?:-(?P<month>\d\d)-(?P<day>\d\d)|(?P<month_>\d\d)(?P<day_>\d\d)"
    r"|-W(?P<week>\d\d)-(?P<weekday>\d)|W(?P<week_>\d\d)(?P<weekday_>\d)"
    r"|-?(?P<ordinal>\d{3}))",
    re.ASCII,
)
_DATE_ALONE = re.compile(r"(\d{4})(?:-(\d\d)|-?W(\d\d))?", re.ASCII)
_TIME = re.compile(
    r"(?=..)(?:(?P<hour>\d\d)(?:(?P<colon>:?)(?P<minute>\d\d)"
    r"(?:(?P=colon)(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?)?)?"
    r"(?P<zone>[Zz]|[+-]\d\d(?::?[0-5]\d)?)?",
    re.ASCII,
)


def make_decoder(decoding: Decoding | None) -> Decoder:
    """
    Return the function that gives the `data` of an event as *decoding* has it.

    `None` leaves everything as JSON has it. `"units"` makes each object of exactly the two keys
    `value` and `unit`, as our own converters write an astropy Quantity, one again, at any depth.
    `"panoptes"` follows the client of panoptes-utils 0.5, in an object and the objects in it, not
    in lists: the same objects, and texts whose last word is `deg`, `m` or `s`, become Quantities;
    every other text that ISO 8601 could mean becomes a datetime, naive unless it names a zone.
    That includes `"2026"` and `"20260520"`, so a run id or a serial number may become a date. What
    cannot be decoded stays as it is.

    Raises:
        ValueError: There is no such *decoding*.
        ImportError: It needs astropy, which is not installed.
    """
    if decoding is None:
        return _as_it_is
    if decoding not in ("panoptes", "units"):
        raise ValueError(f"no decoding named {decoding!r}; there are 'panoptes', 'units' and None")
    try:
        _astropy_units()  # asked for here, so that no reading fails later
    except ImportError as error:
        message = f"decode={decoding!r} needs astropy, which is not installed; install astropy"
        raise ImportError(message, name="astropy") from error
    return _decode_units if decoding == "units" else _decode_panoptes


def _astropy_units() -> Any:
    return import_module("astropy.units")


def _as_it_is(value: Any) -> Any:
    return value


def _decode_units(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode_units(item) for item in value]
    if isinstance(value, dict):
        quantity = _quantity_of(value)
        if quantity is None:
            return {key: _decode_units(item) for key, item in value.items()}
        return quantity
    return value


def _decode_panoptes(value: Any) -> Any:
    """Decode an object; the old client looked at nothing else, nor into lists."""
    if not isinstance(value, dict):
        return value
    quantity = _quantity_of(value)
    if quantity is not None:
        return quantity
    return {
        key: _decode_text(item) if isinstance(item, str) else _decode_panoptes(item)
        for key, item in value.items()
    }


def _quantity_of(value: dict[str, Any]) -> Any:
    """Return the Quantity that was written as *value*, or `None` when it is no such thing."""
    if value.keys() != {"value", "unit"} or not isinstance(value["unit"], str):
        return None
    units = _astropy_units()
    try:
        numbers = _numbers_in(value["value"])
        return units.Quantity(numbers, units.Unit(value["unit"]), subok=True)
    except (TypeError, ValueError):
        return None


def _numbers_in(value: Any) -> Any:
    """
    Return *value*, a number or lists of them, as floats; null is what JSON has for NaN.

    Raises:
        TypeError: There is something else in it.
    """
    if isinstance(value, list):
        return [_numbers_in(item) for item in value]
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{value!r:.100} is no number")
    return float(value)


def _decode_text(text: str) -> Any:
    words = text.split()
    if words and words[-1] in _UNITS_IN_TEXT:
        try:
            return _astropy_units().Quantity(text)
        except (TypeError, ValueError):
            return text
    try:
        moment = _read_moment(text)
    except (ValueError, OverflowError):
        return text
    return text if moment is None else moment


def _read_moment(text: str) -> datetime | None:
    """
    Return the moment that *text* means, or `None` when it does not look like one.

    Reads what `dateutil.parser.isoparse` reads, which the old client used: any one character may
    stand between date and time.

    Raises:
        ValueError: It looks like one, but there is no such day or time.
        OverflowError: It is after the year 9999.
    """
    whole = _DATE_ALONE.fullmatch(text)
    if whole is not None:
        year, month, week = whole.groups()
        if week is not None:
            return _midnight(date.fromisocalendar(int(year), int(week), 1))
        return datetime(int(year), int(month or 1), 1)  # noqa: DTZ001 - naive, as it was written
    found = _DATE.match(text)
    if found is None:
        return None
    day = _read_date(found)
    rest = text[found.end() :]
    if not rest:
        return _midnight(day)
    time = _TIME.fullmatch(rest, 1)
    if time is None or not rest.isascii():
        return None
    return _add_time(day, time)


def _read_date(found: re.Match[str]) -> date:
    parts = {name.rstrip("_"): int(part) for name, part in found.groupdict().items() if part}
    year = parts["year"]
    if "week" in parts:
        return date.fromisocalendar(year, parts["week"], parts["weekday"])
    if "ordinal" in parts:
        day = date(year, 1, 1) + timedelta(days=parts["ordinal"] - 1)
        if day.year != year:
            raise ValueError(f"the year {year} has no day {parts['ordinal']}")
        return day
    return date(year, parts["month"], parts["day"])


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - naive, as it was written


def _add_time(day: date, time: re.Match[str]) -> datetime:
    hour, minute, second = (int(time[name] or 0) for name in ("hour", "minute", "second"))
    microsecond = int((time["fraction"] or "0")[:6].ljust(6, "0"))
    days = 0
    if hour == 24 and minute == second == microsecond == 0:  # noqa: PLR2004
        days, hour = 1, 0
    moment = _midnight(day).replace(
        hour=hour, minute=minute, second=second, microsecond=microsecond
    )
    return (moment + timedelta(days=days)).replace(tzinfo=_read_zone(time["zone"]))


def _read_zone(text: str | None) -> tzinfo | None:
    if text is None:
        return None
    if text in "Zz":
        return UTC
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
    return timezone(-offset if text[0] == "-" else offset)
