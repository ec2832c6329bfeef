"""The memory storage takes events with the numbers another storage gave them."""

import pytest
from attrs import evolve

from telemetry_core import IdConflictError, NoActiveRunError
from telemetry_core.memory import MemoryStorage
from telemetry_core.testing.samples import (
    append,
    append_numbers,
    current_data,
    data_of,
    make_draft,
    make_run,
    seqs_of,
    stop,
    stored,
)


@pytest.fixture
def original():
    """A storage with events, a gap in their numbers, and a run."""
    storage = MemoryStorage()
    append_numbers(storage, 1, 2)
    append(storage, make_draft("door", "open", store_permanently=False))
    run = storage.start_run(make_run("001"))
    append(storage, make_draft(data=3, run_id="001"), make_draft("power", 4, id="four"))
    stop(storage, run)
    return storage


@pytest.fixture
def replica(original):
    """A storage in which the run is active and nothing else is."""
    storage = MemoryStorage()
    (run,) = original.runs()
    storage.start_run(evolve(run, stopped_at=None, status="active", events=0))
    return storage


def test_replicated_events_are_the_same(original, replica):
    """Numbers, streams, ids and counts are those of the original."""
    replica.replicate(stored(original))
    assert stored(replica) == stored(original)
    assert seqs_of(stored(replica)) == [1, 2, 4, 5]
    assert data_of(replica, run="001") == [3]
    (run,) = replica.runs()
    assert (run.events, run.first_seq, run.last_seq) == (1, 4, 4)


def test_replicating_twice_changes_nothing(original, replica):
    """What is kept is passed over, also when it comes in another order."""
    events = stored(original)
    replica.replicate(events[2:])
    replica.replicate(events)
    assert stored(replica) == events
    assert [run.events for run in replica.runs()] == [1]


def test_an_ephemeral_event_is_current_only(original, replica):
    """It takes its number and stays out of the history."""
    replica.replicate(stored(original))
    replica.replicate(sorted(original.current().values(), key=lambda event: event.seq))
    assert current_data(replica) == current_data(original)
    assert seqs_of(stored(replica)) == [1, 2, 4, 5]


def test_current_is_the_highest_seq(original, replica):
    """An older event that comes later does not become current."""
    events = stored(original)
    replica.replicate(events[2:])
    replica.replicate(events[:2])
    assert current_data(replica)["weather"] == 3


def test_numbers_go_on_above_the_replicated_ones(original, replica):
    """No number is given a second time."""
    replica.replicate(stored(original))
    assert seqs_of(append_numbers(replica, 9)) == [6]


def test_an_id_is_known_after_replication(original, replica):
    """A retry at the replica stores nothing twice."""
    replica.replicate(stored(original))
    (again,) = append(replica, make_draft("power", 4, id="four"))
    assert (again.seq, again.is_duplicate) == (5, True)


def test_another_event_under_a_seq_is_an_error(original, replica):
    """Nothing of the batch is kept then."""
    append_numbers(replica, 7)
    with pytest.raises(IdConflictError):
        replica.replicate(list(reversed(stored(original))))
    assert data_of(replica) == [7]


def test_an_event_of_a_run_that_is_not_active_is_refused(original):
    """The run's facts come before its events, and nothing of the batch is kept."""
    storage = MemoryStorage()
    with pytest.raises(NoActiveRunError, match="001"):
        storage.replicate(stored(original))
    assert stored(storage) == []


def test_a_waiting_reader_hears_of_it(original, replica):
    """The last stored seq is that of the replicated events."""
    replica.replicate(stored(original))
    assert replica.wait(4, timeout=5) == 5
