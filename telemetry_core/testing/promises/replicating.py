"""What a storage promises that takes events under the seqs another storage gave them."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from telemetry_core.errors import IdConflictError, NoActiveRunError
from telemetry_core.events import Event
from telemetry_core.memory import MemoryStorage
from telemetry_core.testing.promise import OpenStorage, PromiseTests, promise
from telemetry_core.testing.samples import (
    STOPPED_AT,
    append,
    append_numbers,
    current_data,
    data_of,
    is_ascending,
    make_draft,
    make_run,
    seqs_of,
    stored,
)


def _events_of_another() -> list[Event]:
    """Return events of a site and of the run "001", with gaps between their seqs."""
    with MemoryStorage() as another:
        another.start_run(make_run())
        for number in range(4):
            append(
                another,
                make_draft("weather", number, meta={"source": "rs232"}, id=f"w{number}"),
                make_draft("dome", number, store_permanently=False),
                make_draft("image", number, run_id="001", make_current=number != 3),
            )
        return stored(another)


class ReplicatingTests(PromiseTests):
    """The promises `replicate.…`, of storages with `replicates`."""

    @promise("replicate.same", needs="replicates")
    def test_replicated_events_are_the_same(self, open_storage: OpenStorage) -> None:
        """A replicated event is read with its own seq, equal in every field, from its stream."""
        events = _events_of_another()
        with open_storage() as storage:
            storage.start_run(make_run())
            storage.replicate(events[:3])
            storage.replicate(events[3:])
            assert stored(storage) == events
            assert stored(storage, run="001") == events[1::2]
            active = storage.active_run()
            assert active is not None
            counts = (active.events, active.first_seq, active.last_seq)
            assert counts == (4, events[1].seq, events[-1].seq)
            assert storage.wait(0, 0) == events[-1].seq

    @promise("replicate.current", needs="replicates")
    def test_replicated_events_become_current(self, open_storage: OpenStorage) -> None:
        """A replicated event becomes current as its writer asked, also one that is ephemeral."""
        events = _events_of_another()
        ephemeral = evolve(events[0], seq=99, type="dome", id=None, store_permanently=False)
        with open_storage() as storage:
            storage.start_run(make_run())
            storage.replicate([*events, ephemeral])
            assert current_data(storage) == {"image": 2, "weather": 3, "dome": 0}
            assert stored(storage) == events

    @promise("replicate.again", needs="replicates")
    def test_replicating_again_changes_nothing(self, open_storage: OpenStorage) -> None:
        """Events that are kept already are passed over, whichever part of them comes again."""
        events = _events_of_another()
        with open_storage() as storage:
            storage.start_run(make_run())
            for part in (events[:5], events[:5], events[2:4], events, []):
                storage.replicate(part)
            assert stored(storage) == events
            assert [run.events for run in storage.runs()] == [4]

    @promise("replicate.conflict", needs="replicates")
    def test_another_event_under_a_seq_is_refused(self, open_storage: OpenStorage) -> None:
        """A seq of another event raises `IdConflictError`, and nothing of the batch is kept."""
        events = _events_of_another()
        with open_storage() as storage:
            storage.start_run(make_run())
            storage.replicate(events[:3])
            changes: list[dict[str, Any]] = [
                {"data": "other"},
                {"type": "other"},
                {"ts": STOPPED_AT},
            ]
            for change in changes:
                other = evolve(events[1], **change)
                with pytest.raises(IdConflictError) as refused:
                    storage.replicate([other, *events[2:]])
                assert refused.value.seq == other.seq
            assert stored(storage) == events[:3]

    @promise("replicate.inactive_run", needs="replicates")
    def test_replicated_events_need_their_run(self, open_storage: OpenStorage) -> None:
        """An event of a run that is not active refuses its whole batch with `NoActiveRunError`."""
        events = _events_of_another()
        with open_storage() as storage:
            with pytest.raises(NoActiveRunError) as refused:
                storage.replicate(events)
            assert refused.value.run_id == "001"
            assert stored(storage) == []
            assert storage.wait(0, 0) == 0

    @promise("replicate.seq", needs="replicates")
    def test_numbers_go_on_above_replicated_ones(self, open_storage: OpenStorage) -> None:
        """A number that is given later is above all that were replicated."""
        events = _events_of_another()
        ephemeral = evolve(events[0], seq=99, id=None, store_permanently=False)
        with open_storage() as storage:
            storage.start_run(make_run())
            storage.replicate(events)
            (mine,) = append_numbers(storage, 1)
            storage.replicate([ephemeral])
            (last,) = append_numbers(storage, 2)
            assert is_ascending([events[-1].seq, mine.seq, 99, last.seq])
            assert data_of(storage, after=events[-1].seq) == [1, 2]
            assert is_ascending(seqs_of(stored(storage)))

    @promise("replicate.ids", needs="replicates")
    def test_replicated_ids_are_known(self, open_storage: OpenStorage) -> None:
        """A retry of an event that was replicated is answered with it."""
        events = _events_of_another()
        with open_storage() as storage:
            storage.start_run(make_run())
            storage.replicate(events)
            (again,) = append(storage, make_draft("weather", 1, id="w1"))
            assert again.is_duplicate
            assert again == events[2]
