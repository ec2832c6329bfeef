"""What `current` promises."""

from __future__ import annotations

from telemetry_core.testing.promise import OpenStorage, PromiseTests, promise
from telemetry_core.testing.samples import (
    append,
    append_numbers,
    current_data,
    data_of,
    make_draft,
    make_run,
    stop,
)


class CurrentTests(PromiseTests):
    """The promises `current.…`."""

    @promise("current.latest")
    def test_current_is_the_latest_of_each_type(self, open_storage: OpenStorage) -> None:
        """`current` has the event of the highest seq of each type, and each type there was."""
        with open_storage() as storage:
            assert dict(storage.current()) == {}
            append(storage, make_draft("weather", 1), make_draft("power", 2))
            (event,) = append(storage, make_draft("weather", 3))
            assert current_data(storage) == {"weather": 3, "power": 2}
            assert storage.current().get("weather") == event

    @promise("current.ts")
    def test_current_does_not_go_by_ts(self, open_storage: OpenStorage) -> None:
        """A later event becomes current also with an older ts: a wrong clock freezes nothing."""
        with open_storage() as storage:
            append(storage, make_draft(data=1, ts="2199-01-01T00:00:00.000Z"))
            append(storage, make_draft(data=2, ts="2026-01-01T00:00:00.000Z"))
            assert current_data(storage) == {"weather": 2}

    @promise("current.batch")
    def test_current_is_the_last_of_a_batch(self, open_storage: OpenStorage) -> None:
        """Of several events of a type in one batch, whatever their stream, the last is current."""
        with open_storage() as storage:
            storage.start_run(make_run())
            drafts = [make_draft(data=1), make_draft(data=2, run_id="001"), make_draft(data=3)]
            append(storage, *drafts)
            assert current_data(storage) == {"weather": 3}
            append(storage, make_draft(data=4), make_draft(data=5, run_id="001"))
            assert current_data(storage) == {"weather": 5}

    @promise("current.asked")
    def test_current_leaves_out_who_did_not_ask(self, open_storage: OpenStorage) -> None:
        """An event without `make_current` is stored and does not touch the current one."""
        with open_storage() as storage:
            append(storage, make_draft(data=1))
            append(storage, make_draft(data=2, make_current=False))
            append(storage, make_draft("power", 3, make_current=False), make_draft("dome", 4))
            assert current_data(storage) == {"weather": 1, "dome": 4}
            assert data_of(storage) == [1, 2, 3, 4]

    @promise("current.run_end")
    def test_current_survives_the_end_of_a_run(self, open_storage: OpenStorage) -> None:
        """The start and the end of a run change nothing in `current`."""
        with open_storage() as storage:
            append(storage, make_draft("power", 0))
            run = storage.start_run(make_run())
            assert current_data(storage) == {"power": 0}
            append_numbers(storage, 1, run_id="001")
            stop(storage, run)
            assert current_data(storage) == {"power": 0, "weather": 1}
            storage.start_run(make_run("002"))
            assert current_data(storage) == {"power": 0, "weather": 1}

    @promise("current.order")
    def test_current_is_in_order_of_seq(self, open_storage: OpenStorage) -> None:
        """The types of `current` stand in the order of their events' seqs."""
        with open_storage() as storage:
            append(storage, make_draft("b"), make_draft("a"), make_draft("c"))
            append(storage, make_draft("b"))
            assert list(storage.current()) == ["a", "c", "b"]

    @promise("current.cursor")
    def test_current_tells_where_to_go_on(self, open_storage: OpenStorage) -> None:
        """`as_of_seq` is a cursor: `read` after it yields all that the snapshot does not know."""
        with open_storage() as storage:
            assert storage.current().as_of_seq == 0
            append(storage, make_draft("a"), make_draft("b"))
            append(storage, make_draft("c"))
            snapshot = storage.current()
            assert all(event.seq <= snapshot.as_of_seq for event in snapshot.values())
            append_numbers(storage, 1, 2)
            append_numbers(storage, 3)
            assert data_of(storage, after=snapshot.as_of_seq) == [1, 2, 3]
            assert list(snapshot) == ["a", "b", "c"]

    @promise("current.reopen", needs="durable")
    def test_current_survives_a_reopen(self, open_storage: OpenStorage) -> None:
        """After a reopen `current` is what it was, of every stream, and goes on."""
        with open_storage() as storage:
            storage.start_run(make_run())
            append(storage, make_draft("a", 1), make_draft("b", 2, run_id="001"))
            append(storage, make_draft("a", 3, make_current=False))
            append(storage, make_draft("c", 4, ts="1999-01-01T00:00:00.000Z"))
            before = dict(storage.current())
        with open_storage() as storage:
            assert dict(storage.current()) == before
            assert current_data(storage) == {"a": 1, "b": 2, "c": 4}
            append(storage, make_draft("a", 5))
            assert current_data(storage) == {"a": 5, "b": 2, "c": 4}
