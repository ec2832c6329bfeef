"""Time: the clock, RFC 3339 timestamps and the observing day."""

from __future__ import annotations

import os
import re
import time as time_module
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

Clock = Callable[[], int]
"""Nanoseconds since 1970-01-01T00:00:00Z, as `time.time_ns` gives them."""

system_clock: Clock = time_module.time_ns

NS: Final = 1_000_000_000
_FIRST_YEAR: Final = 1678
_LAST_YEAR: Final = 2261
_TS = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLIS = tuple(f".{ms:03d}Z" for ms in range(1000))


class Stamper:
    """
    Formats instants as RFC 3339 with milliseconds, quickly: each second is formatted once.

    Used by one thread at a time.
    """

    __slots__ = ("_prefix", "_second")

    def __init__(self) -> None:
        self._second: int | None = None
        self._prefix = ""

    def __call__(self, ns: int) -> str:
        """Return the instant *ns* as `2026-03-18T00:05:48.955Z`."""
        second, rest = divmod(ns, NS)
        if second != self._second:
            self._prefix = (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = second
        return self._prefix + _MILLIS[rest // 1_000_000]


def format_ts(ns: int) -> str:
    """Return the instant *ns* as RFC 3339 in UTC with milliseconds."""
    return Stamper()(ns)


def parse_ts(ts: str) -> tuple[str, int]:
    """
    Return *ts* in its canonical form (UTC, `Z`, at least milliseconds) and as nanoseconds.

    More digits than three are kept as they were given, up to nine. Source: RFC 3339, section 5.6;
    the years are those that 64-bit nanoseconds hold, so that pandas reads them.

    Raises:
        ValueError: *ts* is not RFC 3339 with a zone, is no real instant, or is out of range.
    """
    match = _TS.fullmatch(ts)
    if match is None:
        message = f"{ts!r:.100} is no RFC 3339 time like '2026-03-18T00:05:48.955Z'"
        raise ValueError(message)
    day, clock_time, fraction, offset = match.groups()
    zone = "+00:00" if offset in "Zz" else offset
    try:
        instant = datetime.fromisoformat(f"{day}T{clock_time}{zone}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = f"{ts!r} is no real instant: {error}"
        raise ValueError(message) from error
    if not _FIRST_YEAR <= instant.year <= _LAST_YEAR:
        message = f"{ts!r} is outside the years {_FIRST_YEAR} to {_LAST_YEAR}"
        raise ValueError(message)
    digits = (fraction or "").ljust(3, "0")
    canonical = f"{instant:%Y-%m-%dT%H:%M:%S}.{digits}Z"
    return canonical, _seconds(instant) * NS + int(digits.ljust(9, "0"))


def instant_ns(when: str | datetime) -> int:
    """
    Return the instant *when* as nanoseconds since 1970.

    Raises:
        ValueError: It has no zone, or is none.
    """
    if isinstance(when, datetime):
        when = ts_of(when)
    if not isinstance(when, str):
        message = f"{when!r:.100} is no time: give RFC 3339 text or a datetime"
        raise ValueError(message)
    return parse_ts(when)[1]


def ts_of(moment: datetime) -> str:
    """
    Return an aware *moment* as RFC 3339 in UTC, with microseconds where it has them.

    Raises:
        ValueError: It has no zone, or is no instant in UTC.
    """
    if moment.utcoffset() is None:
        message = f"{moment.isoformat()!r} has no zone; use datetime.now(timezone.utc) or the like"
        raise ValueError(message)
    try:
        utc = moment.astimezone(UTC)
    except OverflowError as error:
        message = f"{moment.isoformat()!r} is no instant in UTC: {error}"
        raise ValueError(message) from error
    precision = "microseconds" if utc.microsecond % 1000 else "milliseconds"
    return utc.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def local_zone(name: str | None) -> tzinfo:
    """
    Return the IANA zone *name*, or this machine's own when there is none.

    Raises:
        ValueError: No such zone is known.
    """
    if name is None:
        return _machine_zone()
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        message = f"no time zone named {name!r}; use an IANA name such as 'Pacific/Honolulu'"
        raise ValueError(message) from error


def observing_day(ns: int, zone: tzinfo) -> str:
    """Return the `YYYYMMDD` key of the day that began at the last local noon before *ns*."""
    local = (_EPOCH + timedelta(seconds=ns // NS)).astimezone(zone)
    day = local.date() if local.hour >= 12 else local.date() - timedelta(days=1)  # noqa: PLR2004
    return f"{day:%Y%m%d}"


def day_before(day: str) -> str:
    """Return the key of the day before *day*, both `YYYYMMDD`."""
    return f"{date.fromisoformat(day) - timedelta(days=1):%Y%m%d}"


def next_noon_ns(day: str, zone: tzinfo) -> int:
    """Return the instant at which the observing *day* ends: the local noon after it began."""
    first = date.fromisoformat(day)
    noon = datetime.combine(first + timedelta(days=1), time(12), tzinfo=zone)
    return _seconds(noon) * NS


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1)


def _machine_zone() -> tzinfo:
    """Return the machine's zone with its rules, so that summer time is right months ahead."""
    # A variable that is set and empty means UTC, as it does to the C library.
    name = os.environ.get("TZ", "/etc/localtime").lstrip(":") or "UTC"
    try:
        if not name.startswith("/"):
            return ZoneInfo(name)
        with Path(name).open("rb") as rules:
            return ZoneInfo.from_file(rules)
    except (KeyError, ValueError, OSError):
        return datetime.now().astimezone().tzinfo or UTC
