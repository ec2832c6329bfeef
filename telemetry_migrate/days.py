"""Which day file a time belongs to: by the UTC date, or from local noon to local noon."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final, NamedTuple

from telemetry_core.clock import (
    format_ts,
    local_zone,
    next_noon_ns,
    observing_day,
    parse_ts,
)

UTC_DAY: Final = "utc"
OBSERVING_DAY: Final = "observing"
RULES: Final = (UTC_DAY, OBSERVING_DAY)


class Day(NamedTuple):
    """
    One day: its `YYYYMMDD` key, and the times from `start` on and before `end`.

    Both are canonical times without their `Z`, so that they compare with canonical times as text.
    """

    key: str
    start: str
    end: str


DayRule = Callable[[str], Day]
"""Returns the day that a canonical time belongs to."""


def day_rule(name: str = UTC_DAY, timezone: str | None = None) -> DayRule:
    """
    Return the rule called *name*; `observing` needs the IANA zone of the site.

    Raises:
        ValueError: There is no such rule or zone.
    """
    if name == UTC_DAY:
        return _utc_day
    if name != OBSERVING_DAY:
        raise ValueError(f"no rule for days named {name!r}; there are {', '.join(RULES)}")
    zone = local_zone(timezone)

    def rule(ts: str) -> Day:
        key = observing_day(parse_ts(ts)[1], zone)
        before = f"{_date(key) - timedelta(days=1):%Y%m%d}"
        start, end = next_noon_ns(before, zone), next_noon_ns(key, zone)
        return Day(key, format_ts(start)[:-1], format_ts(end)[:-1])

    return rule


def _utc_day(ts: str) -> Day:
    key = ts[:10].replace("-", "")
    return Day(key, ts[:10], (_date(key) + timedelta(days=1)).isoformat())


def _date(key: str) -> date:
    return date(int(key[:4]), int(key[4:6]), int(key[6:8]))
