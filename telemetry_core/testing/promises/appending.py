"""What `append` promises: order, seqs, all or nothing."""

from __future__ import annotations

import pytest

from telemetry_core.clock import system_clock
from telemetry_core.errors import NoActiveRunError
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


class AppendTests(PromiseTests):
    """The promises `append.…` and `ephemeral.…`."""

    @promise("append.order")
    def test_append_keeps_order(self, open_storage: OpenStorage) -> None:
        """A batch gets ascending seqs in its own order, and is returned and read in it."""
        with open_storage() as storage:
            events = append_numbers(storage, 3, 1, 2)
            assert is_ascending(seqs_of(events))
            assert [event.data for event in events] == [3, 1, 2]
            assert data_of(storage) == [3, 1, 2]

    @promise("append.seq")
    def test_append_gives_ascending_seqs(self, open_storage: OpenStorage) -> None:
        """Every seq is above every seq given before, whatever the stream, and above 0."""
        with open_storage() as storage:
            storage.start_run(make_run())
            events = [
                *append_numbers(storage, 1, 2),
                *append_numbers(storage, 3, run_id="001"),
                *append(storage, make_draft(), make_draft(run_id="001"), make_draft()),
                *append_numbers(storage, 4),
            ]
            assert is_ascending([0, *seqs_of(events)])

    @promise("append.visible")
    def test_append_is_visible_on_return(self, open_storage: OpenStorage) -> None:
        """When `append` returns, `read` yields every event of the batch and `current` shows it."""
        with open_storage() as storage:
            for number in range(5):
                events = append_numbers(storage, 10 * number, 10 * number + 1)
                assert stored(storage)[-2:] == events
                assert len(stored(storage)) == 2 * number + 2
                assert storage.current().get("weather") == events[-1]

    @promise("append.fields")
    def test_append_keeps_every_field(self, open_storage: OpenStorage) -> None:
        """An event carries the type, ts, data, meta, id and make_current of its draft."""
        with open_storage() as storage:
            for count in (1, 3):
                drafts = [
                    make_draft(
                        f"type{number}",
                        {"number": number},
                        ts=f"2026-01-0{number + 1}T12:00:00.250Z",
                        meta={"source": number},
                        id=f"id{count}-{number}",
                        make_current=number % 2 == 0,
                    )
                    for number in range(count)
                ]
                wanted = [
                    (one.type, one.ts, one.data, one.meta, one.id, one.make_current)
                    for one in drafts
                ]
                answer = append(storage, *drafts)
                for events in (answer, stored(storage)[-count:]):
                    assert [
                        (one.type, one.ts, one.data, one.meta, one.id, one.make_current)
                        for one in events
                    ] == wanted
                    assert not any(one.is_duplicate for one in events)

    @promise("append.ts")
    def test_append_goes_by_seq_not_by_ts(self, open_storage: OpenStorage) -> None:
        """An event with an older ts keeps it, and comes after everything appended before it."""
        times = ["2026-03-18T02:00:00.000Z", "1999-12-31T23:59:59.999Z", "2200-01-01T00:00:00.000Z"]
        times.append("2026-03-18T02:00:00.123456789Z")
        with open_storage() as storage:
            for ts in times:
                append(storage, make_draft(ts=ts))
            assert [event.ts for event in stored(storage)] == times

    @promise("append.streams")
    def test_append_puts_each_event_into_its_stream(self, open_storage: OpenStorage) -> None:
        """One batch may hold events of the site and of the active run; each gets to its stream."""
        with open_storage() as storage:
            storage.start_run(make_run())
            append(
                storage,
                make_draft(data="site"),
                make_draft(data="run", run_id="001"),
                make_draft(data="site too"),
            )
            assert data_of(storage, stream="site") == ["site", "site too"]
            assert data_of(storage, run="001") == ["run"]
            assert [event.run_id for event in storage.read()] == [None, "001", None]

    @promise("append.empty")
    def test_append_takes_an_empty_batch(self, open_storage: OpenStorage) -> None:
        """An empty batch is taken, and changes nothing."""
        with open_storage() as storage:
            append_numbers(storage, 1)
            assert append(storage) == []
            assert data_of(storage) == [1]

    @promise("append.many")
    def test_append_keeps_a_large_batch(self, open_storage: OpenStorage) -> None:
        """A batch of two thousand events is kept whole and in order."""
        with open_storage() as storage:
            append_numbers(storage, *range(2000))
            assert data_of(storage) == list(range(2000))

    @promise("append.inactive_run")
    def test_append_refuses_a_run_that_is_not_active(self, open_storage: OpenStorage) -> None:
        """A draft of a run that is not active raises `NoActiveRunError`, naming the run."""
        with open_storage() as storage:
            with pytest.raises(NoActiveRunError) as before:
                append(storage, make_draft(run_id="001"))
            storage.start_run(make_run("001"))
            with pytest.raises(NoActiveRunError) as other:
                append(storage, make_draft(run_id="002"))
            assert [before.value.run_id, other.value.run_id] == ["001", "002"]
            assert stored(storage) == []

    @promise("append.finished_run")
    def test_append_refuses_a_finished_run(self, open_storage: OpenStorage) -> None:
        """After its end a run takes no more events: the draft raises `NoActiveRunError`."""
        with open_storage() as storage:
            run = storage.start_run(make_run())
            append_numbers(storage, 1, run_id="001")
            stop(storage, run)
            with pytest.raises(NoActiveRunError):
                append(storage, make_draft(run_id="001"))
            assert data_of(storage, run="001") == [1]

    @promise("append.all_or_nothing")
    def test_append_keeps_nothing_of_a_refused_batch(self, open_storage: OpenStorage) -> None:
        """A batch with one refused draft, wherever it stands, leaves no event, current or id."""
        with open_storage() as storage:
            storage.start_run(make_run())
            append(storage, make_draft(data="before"))
            for place in range(3):
                batch = [
                    make_draft(data="new", id="a"),
                    make_draft("power", data="new", run_id="001"),
                ]
                batch.insert(place, make_draft(data="refused", run_id="other"))
                with pytest.raises(NoActiveRunError):
                    storage.append(batch, system_clock())
            assert data_of(storage) == ["before"]
            assert current_data(storage) == {"weather": "before"}
            (event,) = append(storage, make_draft(data="other", id="a"))
            assert not event.is_duplicate

    @promise("append.goes_on")
    def test_append_goes_on_after_a_refusal(self, open_storage: OpenStorage) -> None:
        """After a refused batch the next one is taken, with seqs above all before."""
        with open_storage() as storage:
            before = append_numbers(storage, 1)
            with pytest.raises(NoActiveRunError):
                append(storage, make_draft(), make_draft(run_id="other"))
            after = append_numbers(storage, 2)
            assert is_ascending(seqs_of(before + after))
            assert data_of(storage) == [1, 2]

    @promise("ephemeral.seq")
    def test_an_ephemeral_event_takes_a_seq(self, open_storage: OpenStorage) -> None:
        """An ephemeral event gets a seq in its turn, which no other event gets."""
        with open_storage() as storage:
            events = append(
                storage, make_draft(), make_draft(store_permanently=False), make_draft()
            )
            events += append(storage, make_draft(store_permanently=False))
            events += append(storage, make_draft())
            assert is_ascending(seqs_of(events))
            assert [one.store_permanently for one in events] == [True, False, True, False, True]

    @promise("ephemeral.unread")
    def test_an_ephemeral_event_is_not_read(self, open_storage: OpenStorage) -> None:
        """An ephemeral event is in no stream, and in no count of a run."""
        with open_storage() as storage:
            storage.start_run(make_run())
            append_numbers(storage, 1, run_id="001")
            append(storage, make_draft(data="gone", store_permanently=False))
            append(
                storage,
                make_draft(data="gone", store_permanently=False, run_id="001"),
                make_draft(data=2),
            )
            assert data_of(storage) == [1, 2]
            assert data_of(storage, last=1, types="weather") == [2]
            run = storage.active_run()
            assert run is not None
            assert run.events == 1

    @promise("ephemeral.current", needs="keeps_ephemeral")
    def test_an_ephemeral_event_becomes_current(self, open_storage: OpenStorage) -> None:
        """An ephemeral event becomes the current one of its type, unless it asked not to."""
        with open_storage() as storage:
            append(storage, make_draft(data="stored"))
            append(storage, make_draft(data="ephemeral", store_permanently=False))
            append(storage, make_draft(data="x", store_permanently=False, make_current=False))
            assert current_data(storage) == {"weather": "ephemeral"}
