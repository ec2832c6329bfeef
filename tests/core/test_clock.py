"""Time: RFC 3339 in and out, and the observing day over every kind of clock change."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_core.clock import (
    NS,
    format_ts,
    instant_ns,
    local_zone,
    next_noon_ns,
    observing_day,
    parse_ts,
    ts_of,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR_NS = 3600 * NS


def ns_of(moment):
    """Return the instant of a datetime by plain arithmetic."""
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def test_an_instant_is_formatted_with_milliseconds():
    """In UTC, and cut, not rounded: a reading is never later than it was."""
    assert "1970-01-01T00:00:00.000Z" == format_ts(0)
    assert "2026-03-18T00:05:48.955Z" == format_ts(1_773_792_348_955_999_999)


def test_the_last_second_before_1970_is_formatted():
    """A machine whose clock was never set may stand there."""
    assert "1969-12-31T23:59:59.999Z" == format_ts(-1)
    assert "1969-12-31T23:59:58.000Z" == format_ts(-2_000_000_000)


@pytest.mark.parametrize(
    ("moment", "ts"),
    [
        (datetime(2026, 3, 18, 0, 5, 48, tzinfo=UTC), "2026-03-18T00:05:48.000Z"),
        (datetime(2026, 3, 18, 0, 5, 48, 955_000, UTC), "2026-03-18T00:05:48.955Z"),
        (datetime(2026, 3, 18, 0, 5, 48, 955_001, UTC), "2026-03-18T00:05:48.955001Z"),
        (
            datetime(2026, 3, 17, 14, 5, 48, tzinfo=ZoneInfo("Pacific/Honolulu")),
            "2026-03-18T00:05:48.000Z",
        ),
    ],
)
def test_a_datetime_becomes_utc_text(moment, ts):
    """With microseconds only where it has them."""
    assert ts == ts_of(moment)
    assert parse_ts(ts)[1] == instant_ns(moment) == instant_ns(ts)


def test_a_datetime_without_a_zone_is_refused():
    """Nobody knows which instant it means."""
    with pytest.raises(ValueError, match="has no zone"):
        ts_of(datetime(2026, 3, 18))


@pytest.mark.parametrize(("moment", "hours"), [(datetime.min, 1), (datetime.max, -1)])
def test_a_datetime_beyond_what_utc_can_express_is_refused(moment, hours):
    """The first and the last day of the calendar have instants that UTC has no date for."""
    with pytest.raises(ValueError, match="no instant in UTC"):
        ts_of(moment.replace(tzinfo=timezone(timedelta(hours=hours))))


@pytest.mark.parametrize(
    ("ts", "canonical"),
    [
        ("2026-03-18T00:05:48Z", "2026-03-18T00:05:48.000Z"),
        ("2026-03-18T00:05:48.9Z", "2026-03-18T00:05:48.900Z"),
        ("2026-03-18T00:05:48.955Z", "2026-03-18T00:05:48.955Z"),
        ("2026-03-18T00:05:48.9550Z", "2026-03-18T00:05:48.9550Z"),
        ("2026-03-18T00:05:48.123456789Z", "2026-03-18T00:05:48.123456789Z"),
        ("2026-03-18t00:05:48z", "2026-03-18T00:05:48.000Z"),
        ("2026-03-18 00:05:48Z", "2026-03-18T00:05:48.000Z"),
        ("2026-03-18T00:05:48+00:00", "2026-03-18T00:05:48.000Z"),
        ("2026-03-18T00:05:48-00:00", "2026-03-18T00:05:48.000Z"),
        ("2026-03-17T14:05:48.5-10:00", "2026-03-18T00:05:48.500Z"),
        ("2026-03-18T05:50:48+05:45", "2026-03-18T00:05:48.000Z"),
        ("2026-03-18T23:59:00+23:59", "2026-03-18T00:00:00.000Z"),
        ("2024-02-29T12:00:00Z", "2024-02-29T12:00:00.000Z"),
        ("1678-01-01T00:00:00Z", "1678-01-01T00:00:00.000Z"),
        ("2261-12-31T23:59:59.999999999Z", "2261-12-31T23:59:59.999999999Z"),
    ],
)
def test_every_form_of_rfc_3339_is_read(ts, canonical):
    """It comes out in one form, and that one is read as itself."""
    assert canonical == parse_ts(ts)[0]
    assert parse_ts(ts) == parse_ts(canonical)


def test_an_instant_is_read_to_the_nanosecond():
    """Also before 1970, where nanoseconds count upwards towards it."""
    assert 1_773_792_348_123_456_789 == parse_ts("2026-03-18T00:05:48.123456789Z")[1]
    assert -1 == parse_ts("1969-12-31T23:59:59.999999999Z")[1]
    assert 0 == parse_ts("1970-01-01T00:00:00Z")[1]


@pytest.mark.parametrize(
    "ts",
    [
        "",
        "banana",
        "2026-03-18",
        "2026-03-18T00:05Z",
        "2026-03-18T00:05:48",
        "2026-03-18T00:05:48.Z",
        "2026-03-18T00:05:48,5Z",
        "2026-03-18T00:05:48.1234567890Z",
        "2026-03-18T00:05:48+0000",
        "2026-03-18T00:05:48+00",
        "2026-03-18T00:05:48 Z",
        " 2026-03-18T00:05:48Z",
        "2026-03-18T00:05:48Z\n",
        "20260318T000548Z",
        "2026-077T00:05:48Z",
        "+2026-03-18T00:05:48Z",
        "\uff12026-03-18T00:05:48Z",
        "2026-03-18T24:00:00Z",
    ],
)
def test_what_is_not_rfc_3339_is_refused(ts):
    """The message shows how a time is written."""
    with pytest.raises(ValueError, match="is no RFC 3339 time like '2026-"):
        parse_ts(ts)


@pytest.mark.parametrize(
    "ts",
    [
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-03-18T00:60:00Z",
        "2026-06-30T23:59:60Z",
        "2026-03-18T00:05:48+24:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    ],
)
def test_what_is_no_instant_is_refused(ts):
    """A leap second among them: no reader's clock knows it."""
    with pytest.raises(ValueError, match="is no real instant"):
        parse_ts(ts)


@pytest.mark.parametrize(
    "ts",
    [
        "1677-12-31T23:59:59.999999999Z",
        "1678-01-01T00:00:00+00:01",
        "2262-01-01T00:00:00Z",
        "2261-12-31T23:59:59-00:01",
        "9999-01-01T00:00:00Z",
    ],
)
def test_what_64_bits_of_nanoseconds_cannot_hold_is_refused(ts):
    """The years are counted in UTC, whatever the offset."""
    with pytest.raises(ValueError, match="outside the years 1678 to 2261"):
        parse_ts(ts)


@given(
    moment=st.datetimes(
        datetime(1678, 1, 3),
        datetime(2261, 12, 29),
        timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m))),
    ),
    precision=st.sampled_from(["seconds", "milliseconds", "microseconds"]),
)
def test_parse_ts_agrees_with_datetime(moment, precision):
    """Whatever the instant, its offset and its number of digits."""
    text = moment.isoformat(timespec=precision)
    canonical, ns = parse_ts(text)

    assert ns_of(datetime.fromisoformat(text)) == ns
    assert datetime.fromisoformat(text) == datetime.fromisoformat(canonical)
    assert (canonical, ns) == parse_ts(canonical)
    assert ns_of(moment) == parse_ts(ts_of(moment))[1]


@given(st.integers(parse_ts("1678-01-01T00:00:00Z")[1], parse_ts("2261-12-31T23:59:59Z")[1]))
def test_what_is_formatted_is_read_back(ns):
    """To the millisecond it was formatted with."""
    assert parse_ts(format_ts(ns)) == (format_ts(ns), ns // 1_000_000 * 1_000_000)


@pytest.mark.parametrize("name", ["Nope/Nowhere", "", "../etc/passwd", "/etc/passwd", "a\0b"])
def test_an_unknown_zone_is_refused(name):
    """The message shows how one is named."""
    with pytest.raises(ValueError, match=r"no time zone named .* such as 'Pacific/Honolulu'"):
        local_zone(name)


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("America/New_York", "America/New_York"),
        (":America/New_York", "America/New_York"),
        ("/usr/share/zoneinfo/America/New_York", "America/New_York"),
        ("", "UTC"),
        (":", "UTC"),
    ],
)
def test_the_machine_zone_is_that_of_tz(monkeypatch, variable, name):
    """Summer time included; empty, it means UTC, as to everything else on the machine."""
    monkeypatch.setenv("TZ", variable)
    zone = local_zone(None)
    for month in (1, 7):
        moment = datetime(2026, month, 1, tzinfo=UTC)
        assert moment.astimezone(ZoneInfo(name)).utcoffset() == moment.astimezone(zone).utcoffset()


def test_a_machine_zone_without_a_name_is_taken_as_it_stands():
    """POSIX lets `TZ` spell a rule out; the C library reads it."""
    program = (
        "from datetime import UTC, datetime\n"
        "from telemetry_core.clock import local_zone\n"
        "print(datetime.now(UTC).astimezone(local_zone(None)).utcoffset())"
    )
    command = [sys.executable, "-c", program]
    shown = subprocess.run(
        command, env={**os.environ, "TZ": "XYZ-5:45"}, stdout=subprocess.PIPE, text=True, check=True
    )
    assert "5:45:00\n" == shown.stdout


@pytest.mark.parametrize(
    ("local", "day"),
    [
        ("2026-03-17 12:00:00", "20260317"),
        ("2026-03-17 23:59:59", "20260317"),
        ("2026-03-18 00:00:00", "20260317"),
        ("2026-03-18 11:59:59", "20260317"),
        ("2026-03-18 12:00:00", "20260318"),
        ("2026-01-01 11:59:59", "20251231"),
        ("2024-03-01 00:00:00", "20240229"),
    ],
)
@pytest.mark.parametrize("zone", ["Pacific/Honolulu", "UTC", "Asia/Kathmandu", "Pacific/Apia"])
def test_the_observing_day_goes_from_noon_to_noon(local, day, zone):
    """By the site's own clock, whatever the offset."""
    moment = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone))
    assert day == observing_day(ns_of(moment), ZoneInfo(zone))


def test_the_last_nanosecond_before_noon_belongs_to_the_day_that_ends():
    """The bounds of a day leave no gap."""
    zone = ZoneInfo("America/Santiago")
    noon = next_noon_ns("20260317", zone)
    assert ["20260317", "20260318"] == [observing_day(ns, zone) for ns in (noon - 1, noon)]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Pacific/Honolulu", "20260307", 24),
        ("America/New_York", "20260307", 23),
        ("America/New_York", "20261031", 25),
        ("Europe/Madrid", "20260328", 23),
        ("Europe/Madrid", "20261024", 25),
        ("America/Santiago", "20260404", 25),
        ("America/Santiago", "20260905", 23),
        ("Australia/Lord_Howe", "20260404", 24.5),
        ("Australia/Lord_Howe", "20261003", 23.5),
        ("Africa/Casablanca", "20260214", 25),
        ("Asia/Kathmandu", "20260307", 24),
    ],
)
def test_a_day_of_a_clock_change_is_longer_or_shorter(zone, day, hours):
    """It still goes from noon to noon, and no hour of it belongs to another day."""
    rules = ZoneInfo(zone)
    before = datetime.strptime(day, "%Y%m%d") - timedelta(days=1)
    begin = next_noon_ns(f"{before:%Y%m%d}", rules)
    end = next_noon_ns(day, rules)

    assert hours * HOUR_NS == end - begin
    assert {day} == {observing_day(ns, rules) for ns in range(begin, end, HOUR_NS // 2)}
    assert day != observing_day(begin - 1, rules)
    assert day != observing_day(end, rules)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "Europe/London", "America/St_Johns"])
def test_days_follow_each_other_through_a_year(zone):
    """Each ends where the next one begins."""
    rules = ZoneInfo(zone)
    first = datetime(2026, 1, 1)
    days = [f"{first + timedelta(days=number):%Y%m%d}" for number in range(366)]
    for day, following in pairwise(days):
        noon = next_noon_ns(day, rules)
        assert [day, following] == [observing_day(ns, rules) for ns in (noon - 1, noon)]


@pytest.mark.parametrize("ts", ["1678-01-01T00:00:00Z", "2261-12-31T23:59:59.999Z"])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_the_observing_day_is_there_at_the_limits_of_time(ts, zone):
    """A clock that is wrong by centuries stops no recording."""
    ns = parse_ts(ts)[1]
    rules = ZoneInfo(zone)
    day = observing_day(ns, rules)
    assert ns < next_noon_ns(day, rules) <= ns + 25 * HOUR_NS
