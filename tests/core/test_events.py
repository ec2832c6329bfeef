"""Events: what a writer gives, what a reader gets, and that neither can change what is stored."""

import copy
import pickle

import orjson
import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError

import telemetry_core
from telemetry_core import Draft, Event, copy_of, make_event
from telemetry_core.testing import make_draft

TS = "2026-03-18T00:05:48.955Z"


@pytest.fixture(params=["memory:", "ndjson:"])
def recorded(request, tmp_path):
    """Return an event as a storage returned it when it was recorded, and one as it was read."""
    url = "memory:" if request.param == "memory:" else tmp_path / "site"
    with telemetry_core.open(url) as recorder:
        recorder.start_run("001")
        answer = recorder.record("weather", {"deg": [1.5]}, ts=TS, meta={"by": "me"}, id="x")
        (read,) = recorder.history()
    return answer, read


def test_a_draft_says_what_its_writer_wants():
    """Type and data, and all the rest by name."""
    draft = Draft("weather", 1)
    assert (None, None, True, True, None, None) == (
        draft.ts,
        draft.meta,
        draft.make_current,
        draft.store_permanently,
        draft.stream,
        draft.id,
    )
    with pytest.raises(TypeError):
        Draft("weather", 1, TS)


def test_an_event_has_its_fields(recorded):
    """The same when it is recorded and when it is read."""
    for event in recorded:
        assert (TS, "weather", {"deg": [1.5]}, "x") == (event.ts, event.type, event.data, event.id)
        assert {"by": "me", "run_id": "001"} == event.meta
        assert ("001", True, True, False) == (
            event.run_id,
            event.make_current,
            event.store_permanently,
            event.is_duplicate,
        )
        assert event.seq > 0
    assert recorded[0] == recorded[1]


def test_an_event_carries_its_json(recorded):
    """For whoever writes it on: no need to encode it again."""
    for event in recorded:
        assert b'{"deg":[1.5]}' == event.data_json
        assert {"by": "me", "run_id": "001"} == orjson.loads(event.meta_json)


def test_an_event_is_frozen(recorded):
    """No field can be set or deleted."""
    for event in recorded:
        for name in ("seq", "data", "meta", "run_id"):
            with pytest.raises(FrozenInstanceError):
                setattr(event, name, None)
        with pytest.raises(FrozenInstanceError):
            del event.data


def test_an_event_has_no_other_attributes(recorded):
    """The message names the class and the attribute."""
    for event in recorded:
        assert not hasattr(event, "nope")
        with pytest.raises(AttributeError, match="'Event' object has no attribute 'nope'"):
            _ = event.nope


@pytest.mark.parametrize(
    "remade",
    [lambda one: pickle.loads(pickle.dumps(one)), copy.copy, copy.deepcopy, copy_of, evolve],
)
def test_an_event_can_be_copied(recorded, remade):
    """And sent to another process."""
    for event in recorded:
        again = remade(event)
        assert again == event
        assert (event.run_id, event.data_json, Event) == (
            again.run_id,
            again.data_json,
            type(again),
        )


def test_an_evolved_event_has_the_new_value(recorded):
    """Its JSON too."""
    for event in recorded:
        other = evolve(event, data=[None], meta={})
        assert ([None], b"[null]", b"{}", None) == (
            other.data,
            other.data_json,
            other.meta_json,
            other.run_id,
        )
        assert other != event


def test_a_copy_shares_nothing(recorded):
    """What one reader changes, another one does not see, and the JSON stays what it was."""
    for event in recorded:
        other = copy_of(event)
        event.data["deg"].append(2)
        event.meta["spoilt"] = True
        third = copy_of(event)
        for one in (other, third):
            assert {"deg": [1.5]} == one.data
            assert {"by": "me", "run_id": "001"} == one.meta


def test_a_copy_may_be_marked_as_a_duplicate():
    """It equals the event all the same: the mark is of the answer, not of the event."""
    event = make_event(1, TS, "weather", b"1")
    again = copy_of(event, is_duplicate=True)
    assert (again, True, False) == (event, again.is_duplicate, event.is_duplicate)


def test_an_event_is_made_from_values_or_from_json():
    """Both are one event."""
    by_value = Event(7, TS, "weather", {"a": [1, None]}, {"run_id": "001"}, id="x")
    by_json = make_event(7, TS, "weather", b'{"a":[1,null]}', b'{"run_id":"001"}', "x")

    assert by_value == by_json
    assert repr(by_value) == repr(by_json)
    assert (by_value.data_json, by_value.meta_json) == (by_json.data_json, by_json.meta_json)
    assert "001" == by_value.run_id == by_json.run_id
    assert by_value != evolve(by_value, seq=8)


def test_an_event_without_more_is_a_plain_one():
    """Of the site, current, stored."""
    for event in (Event(7, TS, "weather", None), make_event(7, TS, "weather", b"null")):
        assert ({}, None, None, True, True, False) == (
            event.meta,
            event.run_id,
            event.id,
            event.make_current,
            event.store_permanently,
            event.is_duplicate,
        )
        assert (b"null", b"{}") == (event.data_json, event.meta_json)


def test_a_checked_draft_becomes_an_event():
    """Under the number it is given; only that was missing."""
    draft = make_draft("weather", [1], ts=TS, run_id="001", id="x", make_current=False)
    wanted = Event(7, TS, "weather", [1], {"run_id": "001"}, id="x", make_current=False)

    assert ([1], {"run_id": "001"}, "001") == (draft.data, draft.meta, draft.run_id)
    assert (b"[1]", b'{"run_id":"001"}') == (draft.data_json, draft.meta_json)
    assert repr(draft).startswith("CheckedDraft(")
    assert "type='weather', data=[1]" in repr(draft)
    for event in (draft.recorded(7), draft.become(7)):
        assert (wanted, Event, "001") == (event, type(event), event.run_id)
