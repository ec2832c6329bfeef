"""Two sides are the same when they hold the same records, in whatever order."""

from telemetry_migrate.records import line_of
from telemetry_migrate.verification import Tally


def tally_of(*lines):
    """Return a tally of *lines*, all of one day."""
    tally = Tally()
    for line in lines:
        tally.add("20260318", line)
    return tally


def line(data, ts="2026-03-18T00:00:00.000Z", **meta):
    """Return an unnumbered line."""
    return line_of(ts, "weather", data, meta)


def test_order_and_spelling_make_no_difference():
    """The values count, and not the bytes."""
    spelled = b'{"seq": 7, "meta": {}, "data": {"a": 1.0}, "type": "weather", "ts": "x"}'
    expected = tally_of(line(1), line({"a": 1.0}, "x"))
    (count,) = expected.compare(tally_of(spelled, line(1)))
    assert count.is_same
    assert (count.expected, count.found) == (2, 2)


def test_every_value_makes_a_difference():
    """Data, time and meta: as many records are not the same records."""
    for other in (line(2), line(1, "2026-03-18T00:00:00.001Z"), line(1, original_id="x")):
        (count,) = tally_of(line(1)).compare(tally_of(other))
        assert (count.expected, count.found) == (1, 1)
        assert not count.is_same


def test_two_changes_do_not_make_up_for_each_other():
    """A record twice is not that record and another one."""
    (count,) = tally_of(line(1), line(2)).compare(tally_of(line(1), line(1)))
    assert not count.is_same


def test_what_one_side_has_alone_is_a_row():
    """Also a day or type that only the target holds."""
    (count,) = Tally().compare(tally_of(line(1)))
    assert (count.expected, count.found, count.is_same) == (0, 1, False)


def test_what_is_taken_off_is_gone():
    """A repeated record is counted once."""
    tally = tally_of(line(1), line(1))
    tally.add("20260318", line(1), times=-1)
    (count,) = tally.compare(tally_of(line(1)))
    assert count.is_same
