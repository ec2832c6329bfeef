"""The table in the plugin's README and what is recorded are the same types and fields."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import telemetry_core
from telemetry_host.readings import Host

README = Path(__file__).parents[2] / "plugins" / "telemetry_host" / "README.md"
KINDS = {
    "number": (int, float),
    "number or null": (int, float, type(None)),
    "integer": int,
    "object": dict,
}
BY_NAME = {("host.disk", ""), ("host.temperature", "celsius")}
"""Where the fields are called after paths and sensors."""


def _documented():
    """Return the kind of JSON by type and field, as the table has it."""
    found, type_ = {}, ""
    for line in README.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 4 or cells[2] not in KINDS:
            continue
        type_ = cells[0].strip("`") or type_
        # A name in italics stands for any.
        field = re.sub(r"\*\w+\*", "*", cells[1]).replace("`", "")
        found[type_, field] = cells[2]
    return found


def _fields(type_, data, path=""):
    """Yield every field of *data* and its value."""
    for name, value in data.items():
        shown = "*" if (type_, path) in BY_NAME else name
        field = f"{path}.{shown}" if path else shown
        yield field, value
        if isinstance(value, dict):
            yield from _fields(type_, value, field)


@pytest.fixture
def recorded(machine):
    """Every field of two readings as they come back from a storage, with a sensor to be sure."""
    host = Host(
        machine(sensors_temperatures=lambda: {"cpu": [SimpleNamespace(label="core", current=40.0)]})
    )
    with telemetry_core.open("memory:", strict=True) as recorder:
        for type_, data in [*host.read(), *host.read()]:
            recorder.record(type_, data)
        return [
            (event.type, field, value)
            for event in recorder.history()
            for field, value in _fields(event.type, event.data)
        ]


def test_every_field_is_documented_and_no_other(recorded):
    """A field that is renamed must be renamed in the table."""
    assert set(_documented()) == {(type_, field) for type_, field, _ in recorded}


def test_each_field_is_of_the_documented_kind(recorded):
    """So that a reader can rely on the column."""
    documented = _documented()
    for type_, field, value in recorded:
        assert isinstance(value, KINDS[documented[type_, field]]), (type_, field, value)
        assert not isinstance(value, bool)


def test_null_is_only_where_it_is_documented(recorded):
    """And it is there in a first reading."""
    null = {(type_, field) for type_, field, value in recorded if value is None}
    assert null == {key for key, kind in _documented().items() if "null" in kind}
