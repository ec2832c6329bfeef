"""Time: RFC 3339 in and out, and the observing day over every kind of clock change."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from telemetry_core.clock import format_ts, ts_of


def test_the_last_second_before_1970_is_formatted():
    """A machine whose clock was never set may stand there."""
    assert "1969-12-31T23:59:59.999Z" == format_ts(-1)
    assert "1969-12-31T23:59:58.000Z" == format_ts(-2_000_000_000)


@pytest.mark.parametrize("moment", [datetime.min, datetime.max])
def test_a_datetime_beyond_what_utc_can_express_is_refused(moment):
    """The first and the last day of the calendar have instants that UTC has no date for."""
    hours = 1 if moment is datetime.min else -1
    with pytest.raises(ValueError, match="no instant in UTC"):
        ts_of(moment.replace(tzinfo=timezone(timedelta(hours=hours))))
