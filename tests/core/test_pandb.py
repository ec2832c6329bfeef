"""PanDB's own behaviour over a recorder."""

import gc

import pytest

import telemetry_core
from telemetry_core.pandb import PanDB


@pytest.fixture(params=["file", "memory"])
def db(request, tmp_path):
    """Return a database of each type, of a name of its own."""
    return PanDB(db_type=request.param, db_name=tmp_path.name, storage_dir=tmp_path)


@pytest.mark.parametrize("obj", [{"sky": "clear"}, True, None, [1, 2], "text", 1.5])
def test_the_current_record_is_the_last_one(db, obj):
    """A record is a dictionary with four keys; its data is any JSON value."""
    db.insert_current("weather", {"sky": "cloudy"})
    obj_id = db.insert_current("weather", obj)

    record = db.get_current("weather")

    assert {"_id", "type", "date", "data"} == set(record)
    assert (obj_id, "weather", obj) == (record["_id"], record["type"], record["data"])


def test_insert_does_not_touch_current(db):
    """It only adds to the history, where `find` finds it."""
    db.insert_current("weather", 1)
    obj_id = db.insert("weather", 2)

    assert 1 == db.get_current("weather")["data"]
    assert 2 == db.find("weather", obj_id)["data"]
    assert db.find("power", obj_id) is None
    assert db.find("weather", "another") is None


def test_an_unstored_record_is_current_only(db):
    """`store_permanently=False` leaves no trace in the history."""
    obj_id = db.insert_current("status", 1, store_permanently=False)

    assert 1 == db.get_current("status")["data"]
    assert db.find("status", obj_id) is None


def test_a_cleared_record_is_gone_until_the_next(db):
    """The history keeps it."""
    obj_id = db.insert_current("weather", 1)
    db.clear_current("weather")
    db.clear_current("never")

    assert db.get_current("weather") is None
    assert 1 == db.find("weather", obj_id)["data"]
    db.insert_current("weather", 2)
    assert 2 == db.get_current("weather")["data"]


def test_files_are_there_after_a_reopen(tmp_path):
    """Current, history, and what was cleared."""
    db = PanDB("file", storage_dir=tmp_path)
    obj_id = db.insert_current("weather", 1)
    db.insert_current("power", 2)
    db.clear_current("power")
    del db
    gc.collect()

    again = PanDB("file", storage_dir=tmp_path)

    assert obj_id == again.get_current("weather")["_id"]
    assert again.get_current("power") is None
    assert (tmp_path / "panoptes").is_dir()


def test_objects_of_one_place_share_it(db, tmp_path):
    """The old one could be made anywhere in a program."""
    other = PanDB(db.db_type, db.db_name, tmp_path)
    db.insert_current("weather", 1)

    assert 1 == other.get_current("weather")["data"]


def test_what_has_no_json_is_refused(db):
    """The error names the place, and nothing changes."""
    with pytest.raises(telemetry_core.InvalidEventError, match=r"\$\.data\.a"):
        db.insert_current("weather", {"a": object()})

    assert db.get_current("weather") is None


def test_there_are_two_types():
    """A misspelt one is told."""
    with pytest.raises(ValueError, match="'file' and 'memory'"):
        PanDB(db_type="mongo")
