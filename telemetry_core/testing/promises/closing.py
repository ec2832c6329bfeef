"""What closing and opening again promise."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from telemetry_core.clock import system_clock
from telemetry_core.errors import StorageClosedError
from telemetry_core.storage import Storage
from telemetry_core.testing.calls import Call
from telemetry_core.testing.promise import OpenStorage, PromiseTests, promise
from telemetry_core.testing.samples import (
    STOPPED_AT,
    append,
    append_numbers,
    data_of,
    is_ascending,
    make_draft,
    make_run,
    seqs_of,
    stored,
)

_CALLS: dict[str, Callable[[Storage], object]] = {
    "append": lambda storage: storage.append([make_draft()], system_clock()),
    "read": lambda storage: list(storage.read()),
    "read_json": lambda storage: list(storage.read_json()),
    "current": lambda storage: storage.current(),
    "start_run": lambda storage: storage.start_run(make_run("002")),
    "finish_run": lambda storage: storage.finish_run(make_run("001").stopped(STOPPED_AT)),
    "runs": lambda storage: list(storage.runs()),
    "active_run": lambda storage: storage.active_run(),
    "next_run_id": lambda storage: storage.next_run_id(),
    "wait": lambda storage: storage.wait(0, 0),
    "flush": lambda storage: storage.flush(),
    "check_writable": lambda storage: storage.check_writable(),
}


class ClosingTests(PromiseTests):
    """The promises `close.…`, `flush.…`, `removed.…` and `reopen.…`."""

    @promise("close.twice")
    def test_close_twice(self, open_storage: OpenStorage) -> None:
        """Closing twice is fine, with and without anything stored."""
        for number in range(2):
            storage = open_storage()
            append_numbers(storage, *range(number))
            storage.close()
            storage.close()

    @promise("close.refuses")
    def test_a_closed_storage_refuses_everything(self, open_storage: OpenStorage) -> None:
        """Every other call on a closed storage raises `StorageClosedError`."""
        with open_storage() as storage:
            storage.start_run(make_run())
            append_numbers(storage, 1, 2)
        for name, call in _CALLS.items():
            try:
                call(storage)
            except StorageClosedError:
                continue
            pytest.fail(f"{name} of a closed storage raises no StorageClosedError")

    @promise("close.capabilities")
    def test_capabilities_stay_the_same(self, open_storage: OpenStorage) -> None:
        """`capabilities` are the same from opening to closing."""
        with open_storage() as storage:
            before = storage.capabilities
            storage.start_run(make_run())
            append_numbers(storage, 1)
            assert storage.capabilities == before

    @promise("flush.returns")
    def test_flush_changes_nothing(self, open_storage: OpenStorage) -> None:
        """`flush` returns when all is safe, with nothing stored, during a run, and twice."""
        with open_storage() as storage:
            storage.flush()
            storage.start_run(make_run())
            append_numbers(storage, 1, run_id="001")
            append_numbers(storage, 2)
            storage.flush()
            storage.flush()
            append_numbers(storage, 3)
            assert data_of(storage) == [1, 2, 3]

    @promise("flush.threads")
    def test_any_thread_may_flush(self, open_storage: OpenStorage) -> None:
        """`flush` may be called from any thread while another one appends, and disturbs it not."""
        with open_storage() as storage:
            flushed, is_over = threading.Semaphore(0), threading.Event()

            def flush() -> None:
                while not is_over.is_set():
                    storage.flush()
                    flushed.release()

            flushes = [Call(flush) for _ in range(3)]
            try:
                for number in range(50):
                    append_numbers(storage, 2 * number, 2 * number + 1)
                    if not flushed.acquire(timeout=self.patience_s):
                        break
            finally:
                is_over.set()
            for call in flushes:
                call.result(self.patience_s)
            assert data_of(storage) == list(range(100))

    @promise("flush.writable")
    def test_an_open_storage_is_writable(self, open_storage: OpenStorage) -> None:
        """`check_writable` returns while appends are taken, and stores nothing."""
        with open_storage() as storage:
            storage.check_writable()
            append_numbers(storage, 1)
            storage.check_writable()
            assert data_of(storage) == [1]

    @promise("removed.rises")
    def test_what_was_removed_never_comes_back(self, open_storage: OpenStorage) -> None:
        """`removed_through` is 0 or the seq of an event that was, and it never falls."""
        removed, last = [0], 0
        for _ in range(2):
            with open_storage() as storage:
                for number in range(20):
                    last = max(last, append_numbers(storage, number)[0].seq)
                    removed.append(storage.removed_through())
                    assert removed[-1] <= last
                    storage.flush()
                if not storage.capabilities.durable:
                    break
        assert removed == sorted(removed)

    @promise("reopen.events", needs="durable")
    def test_events_survive_a_reopen(self, open_storage: OpenStorage) -> None:
        """After a reopen every stream has the events it had, equal in every field."""
        with open_storage() as storage:
            storage.start_run(make_run())
            events = append(
                storage,
                make_draft(
                    "a/b", {"deg": [1.5, None, "é\u2028"]}, id="x", meta={"source": "rs232"}
                ),
                make_draft("weather", 2**64 - 1, run_id="001", make_current=False),
            )
            events += append(storage, make_draft("weather", None, run_id="001"))
        for _ in range(2):
            with open_storage() as storage:
                assert stored(storage) == events
                assert stored(storage, run="001") == events[1:]

    @promise("reopen.appends", needs="durable")
    def test_appends_go_on_after_a_reopen(self, open_storage: OpenStorage) -> None:
        """What is appended after a reopen comes behind what was there."""
        for number in range(3):
            with open_storage() as storage:
                append_numbers(storage, 2 * number, 2 * number + 1)
                assert data_of(storage) == list(range(2 * number + 2))
                assert storage.wait(0, 0) == stored(storage)[-1].seq

    @promise("reopen.seq", needs="durable")
    def test_no_seq_is_given_again_after_a_reopen(self, open_storage: OpenStorage) -> None:
        """After a reopen every seq is above all given before, also those of no stored event."""
        seqs: list[int] = []
        for number in range(3):
            with open_storage() as storage:
                seqs += seqs_of(append_numbers(storage, number))
                seqs += seqs_of(append(storage, make_draft(store_permanently=False)))
        assert is_ascending(seqs), f"seqs were given again: {seqs!r}"
