"""What becomes of types that JSON does not know."""

from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

import astropy.time
import astropy.units
import attrs
import numpy as np
import pytest

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


@pytest.mark.parametrize("given", [object(), 1j, np.complex128(1j), b"bytes", lambda: None])
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
