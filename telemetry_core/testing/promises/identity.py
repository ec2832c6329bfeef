"""What an `id` promises: an event is stored once, however often its writer tries."""

from __future__ import annotations

import pytest

from telemetry_core.errors import IdConflictError
from telemetry_core.events import CheckedDraft
from telemetry_core.testing.promise import OpenStorage, PromiseTests, promise
from telemetry_core.testing.samples import (
    append,
    append_numbers,
    current_data,
    data_of,
    make_draft,
    make_run,
    stop,
    stored,
)


def _draft(data: object = 1, id: str = "a", **fields: object) -> CheckedDraft:  # noqa: A002
    return make_draft(data=data, id=id, **fields)  # type: ignore[arg-type]


class IdTests(PromiseTests):
    """The promises `ids.…`."""

    @promise("ids.retry")
    def test_a_retry_returns_the_stored_event(self, open_storage: OpenStorage) -> None:
        """A draft with the id of a stored event is not stored: that event is the answer."""
        with open_storage() as storage:
            first = append(storage, _draft({"deg": 1.5}, ts="2026-03-18T00:00:00.000Z"))
            append_numbers(storage, 2)
            again = append(storage, _draft({"deg": 1.5}, ts="2026-03-18T00:00:09.000Z"))
            assert again == first
            assert data_of(storage) == [{"deg": 1.5}, 2]

    @promise("ids.marked")
    def test_a_retry_is_marked(self, open_storage: OpenStorage) -> None:
        """The answer to a retry is marked `is_duplicate`; what is stored is not."""
        with open_storage() as storage:
            answers = [append(storage, _draft())[0].is_duplicate for _ in range(3)]
            assert answers == [False, True, True]
            assert [event.is_duplicate for event in storage.read()] == [False]

    @promise("ids.batch")
    def test_an_id_twice_in_a_batch_is_stored_once(self, open_storage: OpenStorage) -> None:
        """An id that stands twice in one batch is stored once; the second is the duplicate."""
        with open_storage() as storage:
            events = append(storage, _draft(1, "a"), _draft(2, "b"), _draft(1, "a"))
            assert events[2] == events[0]
            assert [event.is_duplicate for event in events] == [False, False, True]
            assert data_of(storage) == [1, 2]

    @promise("ids.mixed")
    def test_a_batch_may_mix_old_and_new(self, open_storage: OpenStorage) -> None:
        """A batch of retries and new events stores the new ones and answers in its own order."""
        with open_storage() as storage:
            append(storage, _draft(1, "a"), _draft(2, "b"))
            events = append(storage, _draft(3, "c"), _draft(2, "b"), make_draft(data=4), _draft())
            assert [event.data for event in events] == [3, 2, 4, 1]
            assert [event.is_duplicate for event in events] == [False, True, False, True]
            assert data_of(storage) == [1, 2, 3, 4]

    @promise("ids.other_data")
    def test_an_id_of_other_data_is_refused(self, open_storage: OpenStorage) -> None:
        """An id given to other data raises `IdConflictError` with the id and the stored seq."""
        with open_storage() as storage:
            (first,) = append(storage, _draft({"deg": 1}))
            with pytest.raises(IdConflictError) as conflict:
                append(storage, _draft({"deg": 2}))
            assert (conflict.value.event_id, conflict.value.seq) == ("a", first.seq)
            assert stored(storage) == [first]

    @promise("ids.other_type")
    def test_an_id_of_another_type_is_refused(self, open_storage: OpenStorage) -> None:
        """An id given to another type raises `IdConflictError`."""
        with open_storage() as storage:
            (first,) = append(storage, _draft(type="weather"))
            with pytest.raises(IdConflictError):
                append(storage, _draft(type="power"))
            assert stored(storage) == [first]

    @promise("ids.conflict")
    def test_a_conflict_refuses_the_batch(self, open_storage: OpenStorage) -> None:
        """One conflicting id refuses its whole batch, also when both stand in that batch."""
        with open_storage() as storage:
            (first,) = append(storage, _draft(1, "a"))
            with pytest.raises(IdConflictError):
                append(storage, make_draft("power"), _draft(3, "c"), _draft(2, "a"), make_draft())
            with pytest.raises(IdConflictError):
                append(storage, make_draft("power"), _draft(1, "d"), _draft(2, "d"))
            assert stored(storage) == [first]
            assert current_data(storage) == {"weather": 1}
            assert not append(storage, _draft(4, "c"))[0].is_duplicate

    @promise("ids.current")
    def test_a_retry_does_not_change_current(self, open_storage: OpenStorage) -> None:
        """A retry does not make its old event the current one again."""
        with open_storage() as storage:
            append(storage, _draft(1, "a"))
            append(storage, _draft(2, "b"))
            append(storage, _draft(1, "a"))
            assert current_data(storage) == {"weather": 2}

    @promise("ids.other_stream")
    def test_a_retry_may_come_after_the_end_of_its_run(self, open_storage: OpenStorage) -> None:
        """A retry that comes when its run is over is answered with the event in the run."""
        with open_storage() as storage:
            run = storage.start_run(make_run())
            first = append(storage, _draft(run_id="001"))
            stop(storage, run)
            assert append(storage, _draft()) == first
            assert data_of(storage, stream="site") == []

    @promise("ids.none")
    def test_events_without_an_id_are_no_duplicates(self, open_storage: OpenStorage) -> None:
        """Equal events without an id are stored each time."""
        with open_storage() as storage:
            append_numbers(storage, 1, 1)
            append_numbers(storage, 1)
            assert data_of(storage) == [1, 1, 1]

    @promise("ids.reopen", needs="durable")
    def test_a_retry_may_come_after_a_reopen(self, open_storage: OpenStorage) -> None:
        """Ids are known after the storage was closed and opened again."""
        with open_storage() as storage:
            storage.start_run(make_run())
            events = append(storage, _draft({"deg": 1}, "a"), _draft(2, "b", run_id="001"))
        with open_storage() as storage:
            again = append(storage, _draft({"deg": 1}, "a"), _draft(2, "b", run_id="001"))
            assert again == events
            assert all(event.is_duplicate for event in again)
            assert stored(storage) == events
