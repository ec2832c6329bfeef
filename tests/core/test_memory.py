"""The memory storage: what the conformance kit does not ask of it."""

import threading

import pytest

import telemetry_core
from telemetry_core import SettingsError, StorageClosedError
from telemetry_core.memory import MemoryStorage
from telemetry_core.testing import make_draft, make_run
from telemetry_core.testing.calls import Call

PATIENCE_S = 20.0


def test_every_opening_is_a_site_of_its_own():
    """Nothing is shared by name, and nothing is there after closing."""
    with telemetry_core.open("memory:") as one, telemetry_core.open("memory:") as other:
        one.record("weather", 1)
        assert [] == list(other.history())


def test_there_is_nothing_to_set():
    """An option is refused, and there is nothing to read only."""
    for option in ({"timezone": "UTC"}, {"read_only": True}):
        with pytest.raises(SettingsError, match="memory: no field named"):
            telemetry_core.open("memory:", **option)
    telemetry_core.open("memory:", read_only=False).close()


def test_it_says_what_it_can_do():
    """It forgets at the end, and knows ephemeral events until then."""
    capabilities = MemoryStorage().capabilities
    assert (False, True, False) == (
        capabilities.durable,
        capabilities.keeps_ephemeral,
        capabilities.costly_commit,
    )


def test_an_ephemeral_event_with_an_id_is_stored_once_too():
    """Its id is remembered, as everything else is."""
    with MemoryStorage() as storage:
        draft = {"data": 1, "id": "a", "store_permanently": False}
        (first,) = storage.append([make_draft(**draft)], 0)
        (again,) = storage.append([make_draft(**draft)], 0)
        assert (first, True) == (again, again.is_duplicate)
        assert 1 == storage.current().as_of_seq


def test_reading_goes_on_with_what_was_there():
    """Events appended meanwhile are not in it; closing takes nothing away from it."""
    storage = MemoryStorage()
    storage.append([make_draft(data=number) for number in range(3)], 0)
    reading = storage.read()
    assert 0 == next(reading).data
    storage.append([make_draft(data=3)], 0)
    storage.close()
    assert [1, 2] == [event.data for event in reading]


def test_an_active_run_is_counted_event_by_event():
    """With its first and its last seq, in one batch with events of the site."""
    with MemoryStorage() as storage:
        storage.start_run(make_run("001"))
        storage.append([make_draft(), make_draft(run_id="001"), make_draft(run_id="001")], 0)
        run = storage.active_run()
        assert (2, 2, 3) == (run.events, run.first_seq, run.last_seq)


def test_closing_wakes_everybody_who_waits():
    """Each is told that it is closed, also when its time is not over."""
    storage = MemoryStorage()
    calls = [Call(lambda: storage.wait(0, PATIENCE_S)) for _ in range(3)]
    together = threading.Barrier(2)
    closing = Call(lambda: (together.wait(PATIENCE_S), storage.close()))
    together.wait(PATIENCE_S)
    closing.result(PATIENCE_S)
    for call in calls:
        with pytest.raises(StorageClosedError):
            call.result(PATIENCE_S)
