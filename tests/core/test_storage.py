"""The storage contract: what a selection may ask, and what a storage of six methods can do."""

from datetime import date, datetime
from itertools import islice

import pytest
from attrs import astuple, evolve

from telemetry_core import (
    EVERYTHING,
    Capabilities,
    IdConflictError,
    InvalidSelectionError,
    NoActiveRunError,
    Recorder,
    RunActiveError,
    Selection,
    Snapshot,
    Storage,
    StorageClosedError,
    UnsupportedError,
    copy_of,
    duplicate_of,
)
from telemetry_core.storage import run_id_after
from telemetry_core.testing import StorageTests, make_draft, make_run
from telemetry_core.testing.calls import Call

PATIENCE_S = 20.0


class ListStorage(Storage):
    """The six methods that are required, over lists, and nothing else."""

    def __init__(self):
        self._events = []
        self._ids = {}
        self._runs = {}
        self._seq = 0
        self._is_closed = False

    def append(self, drafts, recorded_ns):  # noqa: ARG002
        """Keep them all or none."""
        self._check_open()
        active = self.active_run()
        seq, answer, ids = self._seq, [], {}
        for draft in drafts:
            if draft.run_id is not None and (active is None or active.run_id != draft.run_id):
                raise NoActiveRunError(draft.run_id)
            known = None if draft.id is None else ids.get(draft.id) or self._ids.get(draft.id)
            if known is not None:
                answer.append(duplicate_of(draft, known))
                continue
            seq += 1
            answer.append(draft.recorded(seq))
            if draft.id is not None:
                ids[draft.id] = answer[-1]
        new = [one for one in answer if one.store_permanently and not one.is_duplicate]
        self._seq = seq
        self._ids |= ids
        self._events = [*self._events, *new]
        return answer

    def read(self, selection=EVERYTHING):
        """Look at each event there is."""
        self._check_open()
        chosen = [
            event
            for event in self._events
            if selection.includes_stream_of(event) and selection.matches(event)
        ]
        if selection.last is not None:
            chosen = chosen[max(0, len(chosen) - selection.last) :]
        yield from map(copy_of, chosen[: selection.limit])

    def start_run(self, run):
        """Start it, or resume it."""
        self._check_open()
        if (active := self.active_run()) is not None:
            raise RunActiveError(active)
        before = self._runs.get(run.run_id, run)
        self._runs[run.run_id] = evolve(
            before,
            stopped_at=None,
            status="active",
            reason=None,
            meta={**before.meta, **run.meta},
        )
        return self._counted(self._runs[run.run_id])

    def finish_run(self, run):
        """Finish it."""
        self._check_open()
        active = self.active_run()
        if active is None or active.run_id != run.run_id:
            raise NoActiveRunError(run.run_id)
        self._runs[run.run_id] = evolve(
            active, stopped_at=run.stopped_at, status=run.status, reason=run.reason
        )
        return self._runs[run.run_id]

    def runs(self):
        """Count when asked."""
        self._check_open()
        return iter([self._counted(run) for run in self._runs.values()])

    def close(self):
        """Forget nothing."""
        self._is_closed = True

    def _counted(self, run):
        seqs = [event.seq for event in self._events if event.run_id == run.run_id]
        if not seqs:
            return run
        return evolve(run, events=len(seqs), first_seq=seqs[0], last_seq=seqs[-1])

    def _check_open(self):
        if self._is_closed:
            raise StorageClosedError("list:")


@pytest.fixture
def storage():
    """Return a storage with the six required methods only."""
    with ListStorage() as one:
        yield one


@pytest.mark.parametrize("types", [5, ["weather", 5], [None], b"weather"])
def test_types_are_text(types):
    """What could never be selected is refused, and not taken for a type that is not there."""
    with pytest.raises(InvalidSelectionError, match=r"\$\.types: .* is no type"):
        Selection(types=types)


@pytest.mark.parametrize("run", [5, b"001", True])
def test_a_run_is_named_by_text(run):
    """A number would select nothing, without a word."""
    with pytest.raises(InvalidSelectionError, match=r"\$\.run: .* is no run id"):
        Selection(run=run)


@pytest.mark.parametrize(
    "when", [5, b"2026-03-18T00:00:00Z", date(2026, 3, 18), "2026-03-18", datetime(2026, 3, 18)]
)
@pytest.mark.parametrize("name", ["since", "until"])
def test_a_bound_is_an_instant(name, when):
    """RFC 3339 text or a datetime with a zone; the message says so."""
    with pytest.raises(InvalidSelectionError, match=rf"\$\.{name}: .*(RFC 3339|has no zone)"):
        Selection(**{name: when})


def test_a_bound_beyond_what_utc_can_express_is_refused():
    """Such a datetime exists east of Greenwich on the first day of the calendar."""
    zone = datetime.fromisoformat("2026-01-01T00:00:00+01:00").tzinfo
    with pytest.raises(InvalidSelectionError, match="no instant in UTC"):
        Selection(since=datetime.min.replace(tzinfo=zone))


@pytest.mark.parametrize(
    ("kept", "given"),
    [
        (1, True),
        (0, False),
        ([1], [True]),
        ({"is_open": 1}, {"is_open": True}),
        ({"a": [{"b": 0}]}, {"a": [{"b": False}]}),
        (1, 2),
        ("1", 1),
        ({"a": 1}, {"a": 1, "b": None}),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
        ({}, []),
        (None, False),
    ],
)
def test_an_id_given_to_another_value_is_refused(kept, given):
    """Python takes true for 1; JSON does not, and the second reading must not be lost."""
    event = make_draft(data=kept, id="a").recorded(7)
    for stored, draft in (
        (event, make_draft(data=given, id="a")),
        (make_draft(data=given, id="a").recorded(7), make_draft(data=kept, id="a")),
    ):
        with pytest.raises(IdConflictError) as caught:
            duplicate_of(draft, stored)
        assert ("a", 7) == (caught.value.event_id, caught.value.seq)


@pytest.mark.parametrize(
    ("kept", "given"),
    [
        ({"a": 1, "b": [True, None]}, {"b": [True, None], "a": 1}),
        (1, 1.0),
        ([1e3, -0.0], [1000, 0]),
        (2**64 - 1, 2**64 - 1),
    ],
)
def test_the_same_value_may_be_spelled_otherwise(kept, given):
    """The order of keys and the spelling of numbers make no other event of a retry."""
    event = make_draft(data=kept, id="a").recorded(7)
    again = duplicate_of(make_draft(data=given, id="a"), event)
    assert (event, True) == (again, again.is_duplicate)


@pytest.mark.parametrize("number", [-1, 1.0, "1", True])
@pytest.mark.parametrize("name", ["after", "limit", "last"])
def test_a_count_is_a_whole_number(name, number):
    """From 0 on; nothing is coerced."""
    with pytest.raises(InvalidSelectionError, match=rf"\$\.{name}: .* is no whole number"):
        Selection(**{name: number})


@pytest.mark.parametrize(
    ("selection", "path"),
    [
        ({"stream": "run"}, "$.stream"),
        ({"stream": "site", "run": "001"}, "$.run"),
        ({"limit": 1, "last": 1}, "$.last"),
    ],
)
def test_what_contradicts_itself_is_refused(selection, path):
    """The problem names the field."""
    with pytest.raises(InvalidSelectionError) as caught:
        Selection(**selection)
    assert [path] == [problem.path for problem in caught.value.problems]


def test_all_that_is_wrong_with_a_selection_is_told_at_once():
    """A caller mends it in one go."""
    with pytest.raises(InvalidSelectionError) as caught:
        Selection(since="x", until="y", after=-1, types=[1], run=2, stream="z", limit=1, last=1)
    paths = {problem.path for problem in caught.value.problems}
    assert {f"$.{name}" for name in ("since", "until", "after", "types", "run", "stream")} < paths


def test_one_type_may_be_given_as_it_is():
    """Alone, in a list, in a set or from a generator."""
    assert ("weather",) == Selection(types="weather").types
    assert ("weather",) == Selection(types={"weather"}).types
    assert ("a", "b") == Selection(types=(one for one in "ab")).types
    assert () == EVERYTHING.types


def test_a_snapshot_is_a_mapping_by_type():
    """With the seq it goes up to."""
    event = make_draft("weather", 1).recorded(7)
    snapshot = Snapshot(7, {"weather": event})
    assert (7, event, 1, ["weather"]) == (
        snapshot.as_of_seq,
        snapshot["weather"],
        len(snapshot),
        list(snapshot),
    )
    assert "power" not in snapshot
    assert {} == dict(Snapshot(0))


def append(storage, *drafts):
    """Append *drafts* as one batch."""
    return storage.append(drafts, 0)


def test_current_is_found_in_the_history(storage):
    """The latest that asked to be current, in order of seq; what is not stored cannot be found."""
    assert (0, {}) == (storage.current().as_of_seq, dict(storage.current()))
    events = append(
        storage,
        make_draft("weather", 1),
        make_draft("power", 2),
        make_draft("weather", 3),
        make_draft("power", 4, make_current=False),
        make_draft("power", 5, store_permanently=False),
    )

    snapshot = storage.current()

    assert {"power": events[1], "weather": events[2]} == dict(snapshot)
    assert ["power", "weather"] == list(snapshot)
    assert events[3].seq == snapshot.as_of_seq


def test_wait_returns_when_an_append_passes(storage):
    """It looks again and again; the number is that of the last stored event."""
    append(storage, make_draft())
    assert 1 == storage.wait(0)
    call = Call(lambda: storage.wait(1, PATIENCE_S))
    forever = Call(lambda: storage.wait(1))
    append(storage, make_draft(store_permanently=False), make_draft(), make_draft())

    assert 4 == call.result(PATIENCE_S) == forever.result(PATIENCE_S)


def test_wait_returns_when_its_time_is_over(storage):
    """With the last seq there is, also when *after* is beyond it."""
    assert 0 == storage.wait(0, 0)
    append(storage, make_draft(), make_draft())
    assert 2 == storage.wait(2, 0.01) == storage.wait(99, 0.01) == storage.wait(2, -1)


def test_wait_ends_on_close(storage):
    """Whoever waits is told that the storage was closed."""
    call = Call(lambda: storage.wait(0))
    storage.close()
    with pytest.raises(StorageClosedError):
        call.result(PATIENCE_S)


def test_the_active_run_is_found_among_all(storage):
    """And none, when all were stopped."""
    assert storage.active_run() is None
    first = storage.start_run(make_run("001"))
    storage.finish_run(first.stopped("2026-03-18T06:00:00.000Z"))
    assert storage.active_run() is None
    second = storage.start_run(make_run("002"))
    assert second == storage.active_run()


@pytest.mark.parametrize(
    ("run_ids", "following"),
    [
        ([], "001"),
        (["M42"], "001"),
        (["001", "M42", "3"], "004"),
        (["0041"], "042"),
        (["999"], "1000"),
        (["٣"], "001"),  # a digit, and no number of ours
        (["1.5", "-2"], "001"),
    ],
)
def test_the_next_run_id_is_the_next_number(run_ids, following):
    """Names that are no numbers do not count."""
    assert following == run_id_after(run_ids)
    assert following == run_id_after(iter(run_ids))


def test_the_next_run_id_is_found_among_all(storage):
    """Also those that were stopped."""
    assert "001" == storage.next_run_id()
    storage.finish_run(storage.start_run(make_run("007")).stopped("2026-03-18T06:00:00.000Z"))
    assert "008" == storage.next_run_id()


def test_flush_and_check_writable_ask_whether_it_is_open(storage):
    """More cannot be known of a storage that does not say."""
    storage.check_writable()
    storage.flush()
    storage.close()
    for ask in (storage.check_writable, storage.flush):
        with pytest.raises(StorageClosedError):
            ask()


def test_replicating_is_unsupported(storage):
    """The error names the kind of storage and what it cannot do."""
    with pytest.raises(UnsupportedError, match="'ListStorage' cannot take events with given seqs"):
        storage.replicate([make_draft().recorded(1)])
    assert [] == list(storage.read())


def test_nothing_is_taken_out_of_the_history(storage):
    """Unless a storage says so."""
    append(storage, make_draft())
    assert 0 == storage.removed_through()


def test_an_event_of_a_strange_time_lies_in_no_range():
    """A storage may hold what no recorder of ours wrote; it is read, and no time range has it."""
    event = make_draft(ts="yesterday").recorded(1)
    assert EVERYTHING.matches(event)
    assert not Selection(since="2026-03-18T00:00:00Z").matches(event)
    assert not Selection(until="2026-03-18T00:00:00Z").matches(event)


def test_it_promises_no_more_than_it_says(storage):
    """A storage that says nothing is taken to be durable, cheap, and of one writer."""
    assert Capabilities() == storage.capabilities
    assert (True, *[False] * 6, True, 256 * 1024) == astuple(storage.capabilities)


def test_leaving_its_block_closes_it():
    """Also by an error, which goes on its way."""
    with pytest.raises(ZeroDivisionError), ListStorage() as storage:
        raise ZeroDivisionError
    with pytest.raises(StorageClosedError):
        list(storage.read())


def test_a_recorder_is_whole_over_six_methods(storage):
    """Runs, current values, history and following need nothing more of a backend."""
    with Recorder(storage) as recorder:
        with recorder.run(meta={"target": "M42"}) as run:
            recorder.record("weather", 1)
            recorder.record("weather", 2, stream="site")
        recorder.record("status", 3, store_permanently=False)
        recorder.flush()

        assert {"weather": 2, "status": 3} == {
            type_: event.data for type_, event in recorder.current().items()
        }
        assert [1] == [event.data for event in recorder.history(run=run.run_id)]
        assert (1, "completed") == (
            recorder.find_run("001").events,
            recorder.find_run("001").status,
        )
        followed = [event.data for event in islice(recorder.follow(after=0), 2)]
        assert [1, 2] == followed


class TestListStorage(StorageTests):
    """And the kit finds nothing missing, whatever the base class had to answer for it."""

    @pytest.fixture
    def open_storage(self):
        """Open a new one each time: it is not durable."""

        class Forgetful(ListStorage):
            """Says so."""

            @property
            def capabilities(self):
                """Nothing is there after closing."""
                return Capabilities(durable=False)

        return Forgetful
