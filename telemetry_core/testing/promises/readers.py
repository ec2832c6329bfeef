"""What `read` promises to readers who are not alone, or in no hurry."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Iterator

import pytest

from telemetry_core.events import Event
from telemetry_core.storage import Selection, Storage
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
    stored,
)

_ROUNDS = 20
_BATCHES = 5


class ReaderTests(PromiseTests):
    """The promises `read.…` of readers beside each other and beside a writer."""

    @promise("read.bounded")
    def test_read_keeps_little_in_memory(self, open_storage: OpenStorage) -> None:
        """Reading holds a few events in memory at a time, however many there are."""
        with open_storage() as storage:
            size = min(storage.capabilities.max_event_bytes, 64 * 1024) // 2
            for _ in range(10):
                append(storage, *(make_draft(data="x" * size) for _ in range(20)))
            tracemalloc.start()
            try:
                count = 0
                for event in storage.read():
                    count += len(event.data) == size
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert count == 200
            assert peak < 200 * size // 2, f"reading {200 * size} bytes took {peak} at once"

    @promise("read.abandoned")
    def test_a_reader_may_stop_early(self, open_storage: OpenStorage) -> None:
        """A reader that stops before the end hinders nobody, neither writer nor close."""
        storage = open_storage()
        try:
            append_numbers(storage, *range(100))
            readers = [storage.read() for _ in range(5)]
            assert [next(reader).data for reader in readers] == [0] * 5
            Call(lambda: append_numbers(storage, 100)).result(self.patience_s)
            assert data_of(storage, last=1) == [100]
        finally:
            # Here and not by `with`: a close that waits for the readers would wait for ever.
            Call(storage.close).result(self.patience_s)
        del readers

    @promise("read.side_by_side")
    def test_readers_are_independent(self, open_storage: OpenStorage) -> None:
        """Several reads may go on at the same time, each yields its own selection."""
        with open_storage() as storage:
            append_numbers(storage, *range(10))
            some, everything = storage.read(Selection(limit=5)), storage.read()
            pairs = [(one.data, other.data) for one, other in zip(some, everything, strict=False)]
            assert pairs == [(number, number) for number in range(5)]
            assert [event.data for event in everything] == [5, 6, 7, 8, 9]
            calls = [Call(lambda: data_of(storage)) for _ in range(4)]
            assert [call.result(self.patience_s) for call in calls] == [list(range(10))] * 4

    @promise("read.stable")
    def test_a_reader_sees_what_was_there(self, open_storage: OpenStorage) -> None:
        """What was appended before `read` was called is yielded, in order, whatever comes after."""
        with open_storage() as storage:
            storage.start_run(make_run())
            for number in range(0, 40, 2):
                append_numbers(storage, number)
                append_numbers(storage, number + 1, run_id="001")
            found = []
            for event in storage.read():
                found.append(event)
                if len(found) in (1, 20):
                    Call(lambda: append_numbers(storage, 40, run_id="001")).result(self.patience_s)
                    Call(lambda: append_numbers(storage, 41)).result(self.patience_s)
                if len(found) > 100:
                    break
            assert [event.data for event in found[:40]] == list(range(40))
            assert is_ascending(seqs_of(found))

    @promise("read.whole_batches")
    def test_a_reader_sees_whole_batches(self, open_storage: OpenStorage) -> None:
        """While another thread appends, a reader sees the batches so far, each of them whole."""
        with open_storage() as storage:
            turn = threading.Semaphore(0)

            def write() -> None:
                for number in range(_ROUNDS * _BATCHES):
                    if number % _BATCHES == 0:
                        turn.acquire(timeout=self.patience_s)
                    append_numbers(storage, 3 * number, 3 * number + 1, 3 * number + 2)

            writing = Call(write)
            for _ in range(_ROUNDS):
                turn.release()
                seen = data_of(storage)
                _assert_whole(seen)
            writing.result(self.patience_s)
            assert data_of(storage) == list(range(3 * _ROUNDS * _BATCHES))

    @promise("read.isolated")
    def test_changing_an_event_changes_nothing_stored(self, open_storage: OpenStorage) -> None:
        """Whoever got an event may change its data and meta; what is stored stays as it is."""
        with open_storage() as storage:
            data = {"deg": [1, 2]}
            answer = append(storage, make_draft(data=data, id="a", meta={"x": 1}))
            again = append(storage, make_draft(data=data, id="a", meta={"x": 1}))
            _spoil(iter([*answer, *again]))
            _spoil(storage.read())
            _spoil(iter(storage.current().values()))
            (event,) = stored(storage)
            assert (event.data, event.meta) == (data, {"x": 1})
            assert current_data(storage) == {"weather": data}
            try:
                (retry,) = append(storage, make_draft(data=data, id="a"))
            except ValueError as error:
                pytest.fail(f"a retry is taken for another event: {error}")
            assert (retry.data, retry.is_duplicate) == (data, True)

    @promise("read.answers")
    def test_read_agrees_with_append(self, open_storage: OpenStorage) -> None:
        """`read` yields events equal to those `append` returned, seq and all."""
        with open_storage() as storage:
            events = _append_variously(storage)
            assert stored(storage) == events


def _assert_whole(seen: list[int]) -> None:
    assert seen == list(range(len(seen))), f"events are missing or out of order: {seen!r}"
    assert len(seen) % 3 == 0, f"a batch of three is there in part: {seen[-3:]!r}"


def _spoil(events: Iterator[Event]) -> None:
    for event in events:
        event.data["deg"].append("spoilt")
        event.data["spoilt"] = True
        event.meta["spoilt"] = True  # type: ignore[index]


def _append_variously(storage: Storage) -> list[Event]:
    storage.start_run(make_run())
    return [
        *append(storage, make_draft(data=1)),
        *append(storage, make_draft(data=2, make_current=False)),
        *append(storage, make_draft(data=3, id="a"), make_draft(data=4, run_id="001", id="b")),
        *append(storage, make_draft(data=5, run_id="001", meta={"x": 1})),
    ]
