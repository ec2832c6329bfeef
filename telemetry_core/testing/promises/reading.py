"""What `read` promises of a selection."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from telemetry_core.events import Event
from telemetry_core.storage import Selection, Storage
from telemetry_core.testing.promise import OpenStorage, PromiseTests, promise
from telemetry_core.testing.samples import (
    append,
    append_numbers,
    data_of,
    is_ascending,
    make_draft,
    make_run,
    seqs_of,
    stop,
    stored,
)


def _fill(storage: Storage) -> list[Event]:
    """Record 0 to 9: even ones as weather, odd ones as power, 3 to 6 in run 001, 7 in run 002."""
    drafts = [
        make_draft(
            "power" if number % 2 else "weather",
            number,
            ts=f"2026-03-18T00:00:0{number}.000Z",
            run_id={3: "001", 4: "001", 5: "001", 6: "001", 7: "002"}.get(number),
        )
        for number in range(10)
    ]
    events = append(storage, *drafts[:3])
    run = storage.start_run(make_run("001"))
    events += append(storage, *drafts[3:7])
    stop(storage, run)
    run = storage.start_run(make_run("002", started_at="2026-03-18T01:00:00.000Z"))
    events += append(storage, drafts[7], drafts[8])
    stop(storage, run)
    return events + append(storage, drafts[9])


class SelectionTests(PromiseTests):
    """The promises `read.…` of what a selection yields."""

    @promise("read.order")
    def test_read_yields_ascending_seqs(self, open_storage: OpenStorage) -> None:
        """Events of all streams come in one order, by ascending seq, each once."""
        with open_storage() as storage:
            storage.start_run(make_run())
            for number in range(20):
                append(storage, make_draft(data=number, run_id="001" if number % 3 else None))
            assert data_of(storage) == list(range(20))
            assert is_ascending(seqs_of(stored(storage)))

    @promise("read.empty")
    def test_read_yields_nothing_from_nothing(self, open_storage: OpenStorage) -> None:
        """A new storage has no events."""
        with open_storage() as storage:
            assert stored(storage) == []
            assert stored(storage, last=3) == []

    @promise("read.site")
    def test_read_the_site_stream(self, open_storage: OpenStorage) -> None:
        """`stream="site"` yields the events of the site stream and no others."""
        with open_storage() as storage:
            _fill(storage)
            assert data_of(storage, stream="site") == [0, 1, 2, 8, 9]

    @promise("read.run")
    def test_read_a_run(self, open_storage: OpenStorage) -> None:
        """`run=ID` yields the events of that run and no others, while it is active and after."""
        with open_storage() as storage:
            storage.start_run(make_run("000"))
            append(storage, make_draft(data="x", run_id="000"), make_draft(data="site"))
            assert data_of(storage, run="000") == ["x"]
            stop(storage, make_run("000"))
            _fill(storage)
            assert data_of(storage, run="001") == [3, 4, 5, 6]
            assert data_of(storage, run="002") == [7]

    @promise("read.unknown_run")
    def test_read_an_unknown_run(self, open_storage: OpenStorage) -> None:
        """A run that never was, and one without events, yields nothing."""
        with open_storage() as storage:
            _fill(storage)
            storage.start_run(make_run("empty"))
            assert stored(storage, run="unknown") == []
            assert stored(storage, run="empty") == []

    @promise("read.types")
    def test_read_types(self, open_storage: OpenStorage) -> None:
        """`types` yields the events of these types; none of an unknown type."""
        with open_storage() as storage:
            _fill(storage)
            append(storage, make_draft("Weather", 10), make_draft("weather/x", 11))
            assert data_of(storage, types="weather") == [0, 2, 4, 6, 8]
            assert data_of(storage, types=("power", "weather/x")) == [1, 3, 5, 7, 9, 11]
            assert data_of(storage, types="unknown") == []

    @promise("read.since_until")
    def test_read_a_time_range(self, open_storage: OpenStorage) -> None:
        """`since` is inclusive, `until` exclusive, and both go by the ts of the events."""
        with open_storage() as storage:
            _fill(storage)
            append(storage, make_draft(data="late", ts="2026-03-18T00:00:04.500Z"))
            since, until = "2026-03-18T00:00:04.000Z", "2026-03-18T00:00:06.000Z"
            assert data_of(storage, since=since) == [4, 5, 6, 7, 8, 9, "late"]
            assert data_of(storage, until=until) == [0, 1, 2, 3, 4, 5, "late"]
            assert data_of(storage, since=since, until=until) == [4, 5, "late"]
            assert data_of(storage, since=since, until=since) == []

    @promise("read.instants")
    def test_read_compares_instants(self, open_storage: OpenStorage) -> None:
        """Times are compared as instants, to the nanosecond, however they are spelled."""
        with open_storage() as storage:
            times = ["04.000Z", "04.000000001Z", "04.1000Z", "04.100000001Z", "05.000Z"]
            append(storage, *(make_draft(data=one, ts=f"2026-03-18T00:00:{one}") for one in times))
            spellings = [
                ("2026-03-18T10:00:04.000000001+10:00", "2026-03-17T14:00:04.1000-10:00"),
                ("2026-03-18 00:00:04.000000001z", "2026-03-18T00:00:04.100Z"),
            ]
            for since, until in spellings:
                assert data_of(storage, since=since, until=until) == times[1:2]
            moment = datetime(2026, 3, 18, 0, 0, 4, 100_000, tzinfo=UTC)
            assert data_of(storage, since=moment) == times[2:]
            zone = timezone(timedelta(hours=-10))
            assert data_of(storage, since="2026-03-18T00:00:04.100000001Z") == times[3:]
            assert data_of(storage, until=moment.astimezone(zone)) == times[:2]

    @promise("read.after")
    def test_read_after_a_seq(self, open_storage: OpenStorage) -> None:
        """`after` yields the events of a higher seq, so any seq is a cursor."""
        with open_storage() as storage:
            events = _fill(storage)
            for number, event in enumerate(events):
                assert data_of(storage, after=event.seq) == list(range(number + 1, 10))
            assert data_of(storage, after=events[-1].seq + 10) == []
            assert data_of(storage, after=0) == list(range(10))

    @promise("read.limit")
    def test_read_with_a_limit(self, open_storage: OpenStorage) -> None:
        """`limit` yields so many events from the start of what is selected, or all there are."""
        with open_storage() as storage:
            events = _fill(storage)
            assert data_of(storage, limit=3) == [0, 1, 2]
            assert data_of(storage, limit=100) == list(range(10))
            assert data_of(storage, limit=2, after=events[4].seq) == [5, 6]

    @promise("read.limit_zero")
    def test_read_with_a_limit_of_zero(self, open_storage: OpenStorage) -> None:
        """`limit=0` and `last=0` yield nothing."""
        with open_storage() as storage:
            _fill(storage)
            assert data_of(storage, limit=0) == []
            assert data_of(storage, last=0) == []

    @promise("read.last")
    def test_read_the_last(self, open_storage: OpenStorage) -> None:
        """`last` yields so many events from the end of what is selected, in ascending seq."""
        with open_storage() as storage:
            _fill(storage)
            assert data_of(storage, last=1) == [9]
            assert data_of(storage, last=4) == [6, 7, 8, 9]

    @promise("read.last_of_few")
    def test_read_more_than_there_are(self, open_storage: OpenStorage) -> None:
        """`last` larger than what is selected yields all of it."""
        with open_storage() as storage:
            _fill(storage)
            assert data_of(storage, last=100) == list(range(10))
            assert data_of(storage, last=5, run="001") == [3, 4, 5, 6]

    @promise("read.combined")
    def test_read_combines_everything(self, open_storage: OpenStorage) -> None:
        """What a selection says holds all at once; `limit` and `last` count what is left."""
        with open_storage() as storage:
            events = _fill(storage)
            assert data_of(storage, run="001", types="weather", limit=1) == [4]
            assert data_of(storage, stream="site", types="weather", last=2) == [2, 8]
            since = "2026-03-18T00:00:05.000Z"
            assert data_of(storage, since=since, types="power", last=2) == [7, 9]
            assert data_of(storage, since=since, after=events[5].seq, limit=2) == [6, 7]
            assert data_of(storage, run="001", until=since, last=1) == [4]

    @promise("read.as_listed")
    def test_read_yields_what_the_selection_matches(self, open_storage: OpenStorage) -> None:
        """For any selection `read` yields what `Selection.matches` says of all the events."""
        with open_storage() as storage:
            everything = _fill(storage)
            ts = [None, *(event.ts for event in everything[::4])]
            for selection in (
                Selection(stream=stream, run=run, types=types, since=since, after=after)
                for stream, run in ((None, None), ("site", None), (None, "001"))
                for types in ((), "weather", ("power", "weather"))
                for since in ts
                for after in (0, everything[3].seq, everything[8].seq)
            ):
                wanted = [
                    event
                    for event in everything
                    if selection.matches(event) and selection.includes_stream_of(event)
                ]
                found = list(storage.read(selection))
                if found != wanted:
                    pytest.fail(f"{selection!r} yields {found!r}, expected {wanted!r}")

    @promise("read.resumed")
    def test_read_a_resumed_run(self, open_storage: OpenStorage) -> None:
        """A run that was resumed is one stream, between whose parts others may lie."""
        with open_storage() as storage:
            for number, run_id in enumerate(["001", "002", "001"]):
                run = storage.start_run(make_run(run_id))
                append_numbers(storage, number, run_id=run_id)
                append(storage, make_draft("power", "site"))
                stop(storage, run)
            assert data_of(storage, run="001") == [0, 2]
            assert data_of(storage, types="weather") == [0, 1, 2]
