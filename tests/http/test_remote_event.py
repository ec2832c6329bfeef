"""TelemetryEvent: attributes for new programs, a mapping for those written against PanDB."""

import json
import pickle

import pytest
from attrs.exceptions import FrozenInstanceError

from telemetry_http import TelemetryEvent

VALUES = {
    "seq": 7,
    "ts": "2026-03-18T00:05:48.955Z",
    "type": "weather",
    "data": {"sky": "clear"},
    "meta": {"run_id": "001"},
}


@pytest.fixture
def event():
    """Return an event."""
    return TelemetryEvent(**VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_attributes_and_items_are_the_same(event, name):
    """Both ways of reading give the same value."""
    assert VALUES[name] == getattr(event, name) == event[name] == event.get(name)
    assert name in event


def test_the_names_of_pandb_are_found(event):
    """`_id` is the seq as text and `date` is the ts."""
    assert ("7", "2026-03-18T00:05:48.955Z") == (event["_id"], event["date"])
    assert ("7", "2026-03-18T00:05:48.955Z") == (event.get("_id"), event.get("date"))
    assert "_id" in event
    assert "date" in event


def test_iterating_gives_the_five_names_only(event):
    """The names of PanDB would tell the same twice."""
    assert list(VALUES) == list(event) == list(event.keys())
    assert list(VALUES.values()) == list(event.values())
    assert list(VALUES.items()) == list(event.items())
    assert len(event) == 5


def test_a_dict_of_it_is_json(event):
    """`dict(event)` is the envelope again."""
    assert VALUES == json.loads(json.dumps(dict(event)))
    assert VALUES == {**event}


@pytest.mark.parametrize("name", ["model_dump", "get", "keys", "__class__", "", 0, None])
def test_other_names_are_missing(event, name):
    """A method is no item."""
    with pytest.raises(KeyError):
        event[name]
    assert name not in event
    assert event.get(name, "nothing") == "nothing"


def test_it_cannot_be_changed(event):
    """Facts stay as they are."""
    with pytest.raises(FrozenInstanceError):
        event.seq = 8
    with pytest.raises(TypeError):
        event["seq"] = 8


def test_it_equals_what_has_the_same_items(event):
    """An event equals its copy and the envelope it was made from, and nothing else."""
    assert event == TelemetryEvent(**VALUES)
    assert event == VALUES
    assert event != TelemetryEvent(**{**VALUES, "seq": 8})
    assert event != 7


def test_it_survives_pickling(event):
    """An event can be sent to another process."""
    copy = pickle.loads(pickle.dumps(event))

    assert copy == event
    assert type(copy) is TelemetryEvent


@pytest.mark.parametrize("data", [True, None, [], [1], "text", 0, 1.5, {"value": 1, "unit": "m"}])
def test_data_is_any_value(data):
    """The model of the old client refused everything but objects."""
    assert data == TelemetryEvent(**{**VALUES, "data": data})["data"]
