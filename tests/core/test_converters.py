"""What becomes of types that JSON does not know."""

from collections import OrderedDict, UserDict, deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from ipaddress import IPv4Address
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

import astropy.time
import astropy.units
import attrs
import numpy as np
import pytest
from astropy.utils.masked import Masked

import telemetry_core
from telemetry_core import InvalidEventError


@attrs.frozen
class Reading:
    """A class of a program's own."""

    value: float
    path: Path


@dataclass
class Point:
    """Another one."""

    x: int


class Colour(Enum):
    """And an enumeration."""

    RED = "red"


@pytest.fixture
def recorder():
    """Return a recorder over memory."""
    with telemetry_core.open("memory:") as one:
        yield one


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        (np.float64(1.5), 1.5),
        (np.float32(1.5), 1.5),
        (np.int64(-3), -3),
        (np.uint8(3), 3),
        (np.bool_(True), True),  # noqa: FBT003
        (np.str_("a"), "a"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([1.5, np.nan]), [1.5, None]),
        (np.datetime64("2026-03-18T00:05:48"), "2026-03-18T00:05:48"),
        (45.0 * astropy.units.deg, {"value": 45.0, "unit": "deg"}),
        ([1, 2] * astropy.units.m / astropy.units.s, {"value": [1.0, 2.0], "unit": "m / s"}),
        (astropy.time.Time("2026-03-18T00:05:48.955", scale="utc"), "2026-03-18T00:05:48.955Z"),
        (Path("a/b"), "a/b"),
        (Decimal("1.5"), 1.5),
        (timedelta(minutes=1), 60.0),
        ({3, 1, 2}, [1, 2, 3]),
        (deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        ((1, 2), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (Reading(1.0, Path("x")), {"value": 1.0, "path": "x"}),
        (Point(1), {"x": 1}),
        (Colour.RED, "red"),
        (UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        (datetime(2026, 3, 18, tzinfo=UTC), "2026-03-18T00:00:00+00:00"),
        ({1: "a"}, {"1": "a"}),
    ],
)
def test_it_becomes_plain(recorder, given, recorded):
    """Alone, and inside of something else."""
    assert recorded == recorder.record("odd", given).data
    assert {"in": [recorded]} == recorder.record("odd", {"in": [given]}).data


class Coordinates(NamedTuple):
    """A tuple whose places have names."""

    ra: float
    dec: object


class Number(float):
    """A number of a program's own."""


@attrs.frozen
class Loose:
    """Its field says one thing and may hold another."""

    moment: timedelta


records = np.array([(1, 2.5), (3, np.nan)], dtype=[("a", "i4"), ("b", "f8")])


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        (Coordinates(1.5, Path("x")), {"ra": 1.5, "dec": "x"}),
        (Number(1.5), 1.5),
        (Fraction(1, 4), 0.25),
        (IPv4Address("127.0.0.1"), "127.0.0.1"),
        (date(2026, 3, 18), "2026-03-18"),
        (time(12, 30), "12:30:00"),
        (UserDict(a=1), {"a": 1}),
        ({"a": 1, "b": 2}.keys(), ["a", "b"]),
        ({"b", 1, None}, [None, 1, "b"]),
        ({frozenset({1, 2}), frozenset({1})}, [[1, 2], [1]]),
        (Decimal("NaN"), None),
        (Decimal("Infinity"), None),
        (Loose(timedelta(seconds=1)), {"moment": 1.0}),
        (Loose("soon"), {"moment": "soon"}),
        (records, [{"a": 1, "b": 2.5}, {"a": 3, "b": None}]),
        (records[0], {"a": 1, "b": 2.5}),
        (np.array(["2026-03-18", "NaT"], dtype="datetime64[D]"), ["2026-03-18", None]),
        (np.datetime64("NaT"), None),
        (np.timedelta64(1500, "ms"), 1.5),
        (np.longdouble(1.5), 1.5),
        (np.ma.array([1, 2], mask=[False, True]), [1, None]),
        (astropy.units.deg, "deg"),
        (astropy.time.TimeDelta(1.5, format="sec"), 1.5),
        (
            astropy.time.Time(["2026-03-18", "2026-03-19"]),
            ["2026-03-18T00:00:00.000Z", "2026-03-19T00:00:00.000Z"],
        ),
        (Masked(astropy.time.Time("2026-03-18"), mask=True), None),
        (Masked([1.5, 2.5], mask=[False, True]), [1.5, None]),
    ],
)
def test_it_becomes_as_plain_as_its_kind(recorder, given, recorded):
    """Alone, and inside of something else."""
    assert recorded == recorder.record("odd", given).data
    assert {"in": [recorded]} == recorder.record("odd", {"in": [given]}).data


def test_a_quantity_of_pint_has_a_value_and_a_unit(recorder):
    """Known by its name: pint itself need not be there."""

    class PlainQuantity:
        magnitude = 45.0
        units = "degree"

    class PlainUnit:
        def __str__(self):
            return "degree"

    PlainQuantity.__module__ = "pint.facets.plain.quantity"
    PlainUnit.__module__ = "pint.facets.plain.unit"
    for kind in (PlainQuantity, PlainUnit):
        kind.__qualname__ = kind.__name__

    event = recorder.record("odd", [PlainQuantity(), PlainUnit()])
    assert [{"value": 45.0, "unit": "degree"}, "degree"] == event.data


@pytest.mark.parametrize(
    "given",
    [
        object(),
        1j,
        np.complex128(1j),
        b"bytes",
        np.bytes_(b"bytes"),
        lambda: None,
        iter([1]),
        Decimal("1e400"),
        Decimal("sNaN"),
        Fraction(10**400),
    ],
)
def test_it_is_refused_with_its_place(recorder, given):
    """And nothing is recorded."""
    with pytest.raises(InvalidEventError, match=r"\$\.data\.a\[1\]"):
        recorder.record("odd", {"a": [1, given]})

    assert [] == list(recorder.history())


def test_numbers_made_null_are_counted():
    """In strict mode they are refused, with their place."""
    with telemetry_core.open("memory:") as lenient:
        lenient.record("odd", {"a": [float("nan"), None, float("inf")]})
        assert 2 == lenient.nulled
    with (
        telemetry_core.open("memory:", strict=True) as strict,
        pytest.raises(InvalidEventError, match=r"\$\.data\.a\[1\]"),
    ):
        strict.record("odd", {"a": [None, float("nan")]})
