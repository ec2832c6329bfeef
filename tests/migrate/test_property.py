"""Whatever the records are: migrated and read back they are the same, in order of time per day."""

import json
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import telemetry_core
import telemetry_migrate
from telemetry_core.clock import instant_ns

NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
DATA = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
TYPES = st.sampled_from(["weather", "power", "a/b", "wetter ☂"])
ZONES = st.none() | st.integers(-14 * 60, 14 * 60).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)
DATES = st.builds(
    lambda minute, microsecond, zone: (
        datetime(2026, 3, 1, microsecond=microsecond, tzinfo=zone) + timedelta(minutes=minute)
    ),
    st.integers(0, 4000),
    st.sampled_from([0, 1, 1000, 955398]),
    ZONES,
).map(datetime.isoformat)
STYLES = st.sampled_from([{}, {"separators": (",", ":")}, {"ensure_ascii": False}, {"indent": 1}])


@settings(max_examples=60)
@given(st.lists(st.tuples(TYPES, DATES, DATA, STYLES, st.booleans()), max_size=12))
def test_what_is_migrated_is_what_was_there(given):
    """Every value comes back, each day goes up in time, and equal times keep their order."""
    with tempfile.TemporaryDirectory() as place:
        source, dest = Path(place) / "source", Path(place) / "dest"
        source.mkdir()
        (source / "all.json").touch()
        expected = []
        with (source / "all.json").open("a") as file:
            for number, (type_, date, data, style, turned) in enumerate(given):
                fields = {"_id": str(number), "type": type_, "date": date, "data": data}
                items = reversed(fields.items()) if turned else fields.items()
                file.write(json.dumps(dict(items), **style) + "\n")
                zoned = date if date[-6] in "+-" else f"{date}Z"
                expected.append((instant_ns(zoned), number, type_, data))
        report = telemetry_migrate.migrate(source, dest, verify=True)
        assert (report.read, report.written) == (len(given), len(given))
        assert report.is_verified or not given
        with telemetry_core.open(dest, read_only=True) as recorder:
            found = [
                (instant_ns(one.ts), int(one.meta["original_id"]), one.type, one.data)
                for one in recorder.history()
            ]
        assert found == sorted(expected, key=lambda one: one[:2])
