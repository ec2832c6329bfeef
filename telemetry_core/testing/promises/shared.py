"""What several storages promise that are opened at the same place at once."""

from __future__ import annotations

import threading

import pytest

from telemetry_core.errors import RunActiveError
from telemetry_core.storage import Storage
from telemetry_core.testing.calls import Call
from telemetry_core.testing.promise import OpenStorage, PromiseTests, promise
from telemetry_core.testing.samples import (
    append,
    append_numbers,
    current_data,
    data_of,
    is_ascending,
    make_draft,
    make_run,
    seqs_of,
    stop,
    stored,
)

_WRITERS = 4
_EACH = 25


class SharedTests(PromiseTests):
    """The promises `shared.…`, of storages with `shared_writers`."""

    @promise("shared.visible", needs="shared_writers")
    def test_writers_see_each_other(self, open_storage: OpenStorage) -> None:
        """What one writer appended, another one sees: events, `current`, the active run."""
        with open_storage() as one, open_storage() as other:
            run = one.start_run(make_run())
            assert other.active_run() == run
            append_numbers(one, 1, run_id="001")
            append_numbers(other, 2, run_id="001")
            for storage in (one, other):
                assert data_of(storage) == [1, 2]
                assert current_data(storage) == {"weather": 2}

    @promise("shared.seq", needs="shared_writers")
    def test_writers_share_one_seq(self, open_storage: OpenStorage) -> None:
        """Several writers at once store every event once, and no seq is given twice."""
        together = threading.Barrier(_WRITERS)

        def write(writer: int) -> list[int]:
            with open_storage() as storage:
                # Each has looked before the others go on, so whoever looks only once is found out.
                seqs = seqs_of(append(storage, make_draft(f"w{writer}", 0)))
                together.wait(self.patience_s)
                for number in range(1, _EACH):
                    seqs += seqs_of(append(storage, make_draft(f"w{writer}", number)))
                return seqs

        calls = [Call(lambda writer=writer: write(writer)) for writer in range(_WRITERS)]  # type: ignore[misc]
        given = [call.result(self.patience_s) for call in calls]
        assert all(is_ascending(seqs) for seqs in given)
        with open_storage() as storage:
            events = stored(storage)
            assert seqs_of(events) == sorted(seq for seqs in given for seq in seqs)
            assert is_ascending(seqs_of(events))
            for writer, seqs in enumerate(given):
                assert seqs_of([one for one in events if one.type == f"w{writer}"]) == seqs

    @promise("shared.race", needs="shared_writers")
    def test_one_of_many_writers_starts_a_run(self, open_storage: OpenStorage) -> None:
        """Of several writers that start a run at once exactly one wins."""
        together = threading.Barrier(_WRITERS)

        def start(storage: Storage, run_id: str) -> str | None:
            together.wait(self.patience_s)
            try:
                return storage.start_run(make_run(run_id)).run_id
            except RunActiveError:
                return None

        storages = [open_storage() for _ in range(_WRITERS)]
        try:
            calls = [
                Call(lambda storage=storage, run_id=f"r{n}": start(storage, run_id))  # type: ignore[misc]
                for n, storage in enumerate(storages)
            ]
            won = [call.result(self.patience_s) for call in calls]
            assert won.count(None) == _WRITERS - 1
            assert [run.run_id for run in storages[0].runs()] == [one for one in won if one]
        finally:
            for storage in storages:
                storage.close()

    @promise("shared.assumed", needs="shared_writers")
    def test_a_draft_that_assumes_no_run_is_refused(self, open_storage: OpenStorage) -> None:
        """A draft that assumes that no run is active raises `RunActiveError` while one is."""
        with open_storage() as one, open_storage() as other:
            append(other, make_draft(data=0, assumes_no_run=True))
            run = one.start_run(make_run())
            with pytest.raises(RunActiveError) as refused:
                append(other, make_draft(data=1), make_draft(data=2, assumes_no_run=True))
            assert refused.value.run.run_id == run.run_id
            append(other, make_draft(data=3))
            stop(one, run)
            append(other, make_draft(data=4, assumes_no_run=True))
            assert data_of(one, stream="site") == data_of(one) == [0, 3, 4]

    @promise("shared.wait", needs="shared_writers")
    def test_a_waiter_sees_another_writer(self, open_storage: OpenStorage) -> None:
        """`wait` also ends when another writer's append passes *after*."""
        with open_storage() as one, open_storage() as other:
            call = Call(lambda: one.wait(0))
            (event,) = append_numbers(other, 1)
            assert call.result(self.patience_s) == event.seq
