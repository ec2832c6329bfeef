"""What `wait` promises: the one live primitive, from which following is made."""

from __future__ import annotations

import pytest

from telemetry_core.errors import StorageClosedError
from telemetry_core.testing.calls import Call
from telemetry_core.testing.promise import OpenStorage, PromiseTests, promise
from telemetry_core.testing.samples import append, append_numbers, make_draft, make_run


class WaitTests(PromiseTests):
    """The promises `wait.…`."""

    @promise("wait.passed")
    def test_wait_returns_what_is_there(self, open_storage: OpenStorage) -> None:
        """`wait` returns the last stored seq without waiting when *after* is passed already."""
        with open_storage() as storage:
            storage.start_run(make_run())
            first, last = append(storage, make_draft(), make_draft(run_id="001"))
            for after in (0, first.seq):
                call = Call(lambda after=after: storage.wait(after))  # type: ignore[misc]
                assert call.result(self.patience_s) == last.seq

    @promise("wait.timeout")
    def test_wait_ends_when_its_time_is_over(self, open_storage: OpenStorage) -> None:
        """When nothing comes, `wait` returns the last stored seq when the timeout is over."""
        with open_storage() as storage:
            *_, last = append_numbers(storage, 1, 2)
            for after in (last.seq, last.seq + 10):
                for timeout in (0, 0.01):
                    call = Call(lambda after=after, s=timeout: storage.wait(after, s))  # type: ignore[misc]
                    assert call.result(self.patience_s) == last.seq

    @promise("wait.empty")
    def test_wait_on_nothing_returns_zero(self, open_storage: OpenStorage) -> None:
        """While nothing was ever stored the last stored seq is 0."""
        with open_storage() as storage:
            assert Call(lambda: storage.wait(0, 0)).result(self.patience_s) == 0

    @promise("wait.wakes")
    def test_wait_wakes_on_append(self, open_storage: OpenStorage) -> None:
        """Without a timeout `wait` goes on until an append of another thread passes *after*."""
        with open_storage() as storage:
            last = 0
            for number in range(10):
                call = Call(lambda after=last: storage.wait(after))  # type: ignore[misc]
                (event,) = append_numbers(storage, number)
                last = call.result(self.patience_s)
                assert last == event.seq

    @promise("wait.wakes_all")
    def test_wait_wakes_every_waiter(self, open_storage: OpenStorage) -> None:
        """Any number of threads may wait; an append wakes each whose *after* it passes."""
        with open_storage() as storage:
            (first,) = append_numbers(storage, 1)
            calls = [Call(lambda: storage.wait(first.seq)) for _ in range(5)]
            (second,) = append_numbers(storage, 2)
            assert {call.result(self.patience_s) for call in calls} == {second.seq}

    @promise("wait.stored")
    def test_wait_is_for_stored_events(self, open_storage: OpenStorage) -> None:
        """An ephemeral event ends no `wait`: the number is that of the last stored event."""
        with open_storage() as storage:
            (event,) = append_numbers(storage, 1)
            append(storage, make_draft(store_permanently=False))
            call = Call(lambda: storage.wait(event.seq, 0.01))
            assert call.result(self.patience_s) == event.seq

    @promise("wait.close")
    def test_wait_ends_on_close(self, open_storage: OpenStorage) -> None:
        """Closing the storage ends every `wait` with `StorageClosedError`."""
        with open_storage() as storage:
            (event,) = append_numbers(storage, 1)
            calls = [Call(lambda: storage.wait(event.seq)) for _ in range(3)]
            # So that at least one of them is waiting and not about to.
            Call(lambda: storage.wait(event.seq, 0.05)).result(self.patience_s)
            storage.close()
            for call in calls:
                with pytest.raises(StorageClosedError):
                    call.result(self.patience_s)
