"""Decoding: nothing is guessed unless it was asked for."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from astropy import units

from telemetry_http.decoding import make_decoder

UNTOUCHED = {
    "run": "20260520",
    "port": "6562",
    "length": "10 m",
    "timestamp": "2026-03-18T00:05:48.955398",
    "elevation": {"value": 3397.0, "unit": "m"},
    "list": [{"value": 1, "unit": "m"}],
}


def test_nothing_is_guessed_by_default():
    """What was recorded is what is read."""
    assert UNTOUCHED == make_decoder(None)(UNTOUCHED)


def test_units_leaves_text_alone():
    """Only the objects that a Quantity was written as come back as one."""
    decoded = make_decoder("units")(UNTOUCHED)

    assert decoded["elevation"] == 3397 * units.m
    assert decoded["list"][0] == 1 * units.m
    assert {"run", "port", "length", "timestamp"} == {
        name for name in UNTOUCHED if decoded[name] == UNTOUCHED[name]
    }


@pytest.mark.parametrize(
    ("written", "quantity"),
    [
        ({"value": 45.0, "unit": "deg"}, 45 * units.deg),
        ({"unit": "m / s", "value": 2}, 2 * units.m / units.s),
        ({"value": [1.0, 2.5], "unit": "K"}, [1, 2.5] * units.K),
        ({"value": 0, "unit": ""}, 0 * units.dimensionless_unscaled),
        ({"value": 21.5, "unit": "mag(AB)"}, 21.5 * units.ABmag),
    ],
)
@pytest.mark.parametrize("decoding", ["units", "panoptes"])
def test_a_written_quantity_comes_back(decoding, written, quantity):
    """At the top and inside of an object, numbers and arrays."""
    for decoded in (make_decoder(decoding)(written), make_decoder(decoding)({"x": written})["x"]):
        assert isinstance(decoded, units.Quantity)
        assert decoded.unit == quantity.unit
        assert list(decoded.flat) == list(quantity.flat)


def test_null_comes_back_as_nan():
    """JSON has no NaN, so a Quantity without a number was written with null."""
    decode = make_decoder("units")

    assert decode({"value": None, "unit": "m"}) != decode({"value": None, "unit": "m"})
    assert decode({"value": [1, None], "unit": "m"})[0] == 1 * units.m


@pytest.mark.parametrize(
    "value",
    [
        {"value": 42.0, "unit": "degr"},
        {"value": 42.0, "unit": None},
        {"value": 42.0, "unit": 5},
        {"value": "fair", "unit": "m"},
        {"value": True, "unit": "m"},
        {"value": {"a": 1}, "unit": "m"},
        {"value": [[1], [2, 3]], "unit": "m"},
        {"value": 42.0},
        {"value": 42.0, "unit": "m", "note": "would be lost"},
    ],
)
@pytest.mark.parametrize("decoding", ["units", "panoptes"])
def test_what_is_no_quantity_stays(decoding, value):
    """A reading that looks like one and is none must not break the others."""
    assert value == make_decoder(decoding)(value)


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("45.0 deg", 45 * units.deg),
        ("3397 m", 3397 * units.m),
        ("-10.5 s", -10.5 * units.s),
        ("1.5 m / s", 1.5 * units.m / units.s),
    ],
)
def test_panoptes_reads_quantities_from_text(text, quantity):
    """The old serializer wrote `str(quantity)`; only three last words are looked at."""
    assert quantity == make_decoder("panoptes")({"deep": {"x": text}})["deep"]["x"]


@pytest.mark.parametrize(
    "text",
    ["20 km", "5 K", "45.0deg", "deg", "going to s", "", " ", "text", "2026-13-01", "123", "0000"],
)
def test_panoptes_leaves_other_text(text):
    """Everything else stays the text it was."""
    assert text == make_decoder("panoptes")({"x": text})["x"]


# What dateutil.parser.isoparse, which the old client used, makes of these.
MOMENTS = {
    "2026-03-18T00:05:48.955398": datetime(2026, 3, 18, 0, 5, 48, 955398),
    "2026-03-18 00:05:48.955": datetime(2026, 3, 18, 0, 5, 48, 955000),
    "2026-03-18T00:05:48,5": datetime(2026, 3, 18, 0, 5, 48, 500000),
    "2026-03-18T00:05:48.123456789": datetime(2026, 3, 18, 0, 5, 48, 123456),
    "2026-03-18T00:05:48Z": datetime(2026, 3, 18, 0, 5, 48, tzinfo=UTC),
    "2026-03-18T00:05-10:00": datetime(2026, 3, 18, 0, 5, tzinfo=timezone(timedelta(hours=-10))),
    "20260318T0005+0530": datetime(
        2026, 3, 18, 0, 5, tzinfo=timezone(timedelta(hours=5, minutes=30))
    ),
    "2026-03-18T24:00": datetime(2026, 3, 19),
    "2026-03-18_10": datetime(2026, 3, 18, 10),
    "2026-03-18": datetime(2026, 3, 18),
    "20260520": datetime(2026, 5, 20),
    "2026-05": datetime(2026, 5, 1),
    "2026": datetime(2026, 1, 1),
    "6562": datetime(6562, 1, 1),
    "0930": datetime(930, 1, 1),
    "2026-W10": datetime(2026, 3, 2),
    "2026W103": datetime(2026, 3, 4),
    "2026-120": datetime(2026, 4, 30),
    "2026120T12": datetime(2026, 4, 30, 12),
}


@pytest.mark.parametrize("text", MOMENTS)
def test_panoptes_reads_every_iso_text_as_a_moment(text):
    """The drop-in user gets what the old client gave, naive where no zone is named."""
    decoded = make_decoder("panoptes")({"deep": {"x": text}})["deep"]["x"]

    assert MOMENTS[text] == decoded
    assert MOMENTS[text].utcoffset() == decoded.utcoffset()


@pytest.mark.parametrize(
    "text",
    [
        "202605",
        "2026-1-1",
        "2026-02-30",
        "2026-366",
        "2026-W54",
        "2026-03-18T",
        "2026-03-18TZ",
        "2026-03-18T25:00",
        "2026-03-18T24:01",
        "2026-03-18T12:30:1",
        "2026-03-18T12:3015",
        "2026-03-18T12:30+25:00",
        "2026-03-18T12:30+01:60",
        "9999-12-31T24:00",
        "2026-03-18é12:30",
        "٢٠٢٦-03-18",
    ],
)
def test_panoptes_leaves_what_is_no_moment(text):
    """No reading may fail because somebody wrote a strange text."""
    assert text == make_decoder("panoptes")({"x": text})["x"]


@pytest.mark.parametrize("data", [["2026-03-18", "45 deg"], "2026-03-18", 6562, None, True])
def test_panoptes_looks_into_objects_only(data):
    """The old client decoded objects, and neither lists nor what stands alone."""
    decode = make_decoder("panoptes")

    assert data == decode(data)
    assert [data] == decode({"x": [data]})["x"]


def test_what_was_read_is_not_changed():
    """Decoding makes a new value."""
    for decoding in ("units", "panoptes"):
        data = {"a": {"b": {"value": 1, "unit": "m"}}, "c": "2026-03-18"}

        make_decoder(decoding)(data)

        assert {"a": {"b": {"value": 1, "unit": "m"}}, "c": "2026-03-18"} == data


def test_an_unknown_decoding_names_those_there_are():
    """A misspelt name is refused at once."""
    with pytest.raises(
        ValueError, match=r"no decoding named 'unit'; there are 'panoptes', 'units'"
    ):
        make_decoder("unit")


_WITHOUT_ASTROPY = """
import sys
sys.modules["astropy"] = None
from telemetry_http import TelemetryClient
TelemetryClient()
for decode in ("units", "panoptes"):
    try:
        TelemetryClient(decode=decode)
    except ImportError as error:
        assert error.name == "astropy" and decode in str(error), error
    else:
        raise SystemExit(f"{decode} works without astropy")
"""


def test_without_astropy_a_decoding_fails_at_once():
    """Not at the first reading, in the middle of the night; and without one nothing is missing."""
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_ASTROPY], capture_output=True, text=True, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)
