"""Recording: what an event is given, where it goes, and what a refusal leaves behind."""

import threading
from datetime import datetime, timedelta, timezone

import pytest
from attrs import evolve

import telemetry_core
from telemetry_core import (
    Draft,
    IdConflictError,
    InvalidEventError,
    Problem,
    Recorder,
    StorageError,
    UnknownStorageError,
    hookimpl,
)
from telemetry_core.memory import MemorySettings, MemoryStorage
from telemetry_core.testing.calls import Call

PATIENCE_S = 20.0
NOW = "2026-03-18T00:05:48.955Z"


def data_of(events):
    """Return the data of *events*."""
    return [event.data for event in events]


def test_an_event_is_numbered_and_stamped(recorder, clock):
    """With the clock of the recorder, in the order of recording."""
    first = recorder.record("weather", {"sky": "clear"})
    clock.ns += 1_000_000
    second = recorder.record("weather", None)

    assert (1, NOW, "weather", {"sky": "clear"}, {}) == (
        first.seq,
        first.ts,
        first.type,
        first.data,
        first.meta,
    )
    assert (2, "2026-03-18T00:05:48.956Z", None) == (second.seq, second.ts, second.data)
    assert [first, second] == list(recorder.history())


def test_a_time_that_was_given_is_kept(recorder):
    """In the one form there is; its order is that of recording."""
    given = datetime(2026, 3, 17, 14, 5, tzinfo=timezone(timedelta(hours=-10)))
    recorder.record("weather", 1, ts="2031-01-01T00:00:00+01:00")
    recorder.record("weather", 2, ts=given)

    assert ["2030-12-31T23:00:00.000Z", "2026-03-18T00:05:00.000Z"] == [
        event.ts for event in recorder.history()
    ]


def test_a_batch_keeps_its_order(recorder):
    """Its events are returned as they were given, also from a generator."""
    events = recorder.record_many(Draft("weather", number) for number in range(5))
    assert [0, 1, 2, 3, 4] == data_of(events)
    assert events == list(recorder.history())
    assert [1, 2, 3, 4, 5] == [event.seq for event in events]


def test_an_empty_batch_is_nothing(recorder):
    """No number is taken."""
    assert [] == recorder.record_many([])
    assert 1 == recorder.record("weather", 1).seq


def test_a_batch_is_recorded_whole_or_not_at_all(recorder):
    """The path of a problem begins with the place in the batch."""
    drafts = [Draft("weather", number) for number in range(5)]
    drafts[3] = Draft("weather", {"a": [object()]})
    with pytest.raises(InvalidEventError) as caught:
        recorder.record_many(drafts)

    assert ["$[3].data.a[0]"] == [problem.path for problem in caught.value.problems]
    assert ([], {}) == (list(recorder.history()), dict(recorder.current()))
    assert 1 == recorder.record("weather", 1).seq


@pytest.mark.parametrize(
    ("draft", "path"),
    [
        (Draft("", 1), "$[1].type"),
        (Draft("weather", 1, ts="banana"), "$[1].ts"),
        (Draft("weather", 1, meta=[1]), "$[1].meta"),
        (Draft("weather", 1, meta={"a": b"x"}), "$[1].meta.a"),
        (Draft("weather", 1, id=""), "$[1].id"),
        (Draft("weather", 1, stream="run"), "$[1].stream"),
        (Draft("weather", 1, make_current=1), "$[1].make_current"),
    ],
)
def test_a_refusal_in_a_batch_has_its_place(recorder, draft, path):
    """Whatever is wrong."""
    with pytest.raises(InvalidEventError) as caught:
        recorder.record_many([Draft("weather", 1), draft])
    assert [path] == [problem.path for problem in caught.value.problems]


def test_a_generator_that_fails_records_nothing(recorder):
    """Its error is the caller's."""

    def drafts():
        yield Draft("weather", 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        recorder.record_many(drafts())
    assert [] == list(recorder.history())


def test_events_go_to_the_active_run(recorder):
    """Unless the call says `stream="site"`; outside a run to the site."""
    recorder.record("weather", 1)
    recorder.start_run("001")
    recorder.record("weather", 2)
    recorder.record("weather", 3, stream="site")
    recorder.record_many([Draft("weather", 4), Draft("weather", 5, stream="site")])
    recorder.stop_run()
    recorder.record("weather", 6)

    assert [2, 4] == data_of(recorder.history(run="001"))
    assert [1, 3, 5, 6] == data_of(recorder.history(stream="site"))
    assert [None, "001", None, "001", None, None] == [event.run_id for event in recorder.history()]


@pytest.mark.parametrize("site_types", [["weather", "power"], {"weather"}, "weather"])
def test_a_type_of_the_site_stays_there(site_types):
    """One type may be given as it is."""
    with telemetry_core.open("memory:", site_types=site_types) as recorder, recorder.run("001"):
        assert recorder.record("weather", 1).run_id is None
        assert "001" == recorder.record("w", 1).run_id
        assert "001" == recorder.record("status", 1).run_id


def test_the_run_id_in_meta_is_the_recorders_to_say(recorder):
    """A caller's own is overwritten in a run and taken out elsewhere; the rest stays."""
    mine = {"run_id": "mine", "by": "me"}
    before = recorder.record("weather", 1, meta=mine)
    recorder.start_run("001")
    within = recorder.record("weather", 2, meta=mine)
    without = recorder.record("weather", 3)
    aside = recorder.record("weather", 4, meta=mine, stream="site")
    plain_aside = recorder.record("weather", 5, stream="site")

    assert [
        {"by": "me"},
        {"by": "me", "run_id": "001"},
        {"run_id": "001"},
        {"by": "me"},
        {},
    ] == [event.meta for event in (before, within, without, aside, plain_aside)]
    assert {"run_id": "mine", "by": "me"} == mine
    assert [2, 3] == data_of(recorder.history(run="001"))


def test_what_the_writer_changes_afterwards_is_not_recorded(recorder):
    """The values are taken when they are given."""
    data, meta = {"deg": [1]}, {"by": ["me"]}
    event = recorder.record("weather", data, meta=meta)
    data["deg"].append(2)
    meta["by"].append("you")
    event.data["deg"].append(3)

    (read,) = recorder.history()
    assert ({"deg": [1]}, {"by": ["me"]}) == (read.data, read.meta)
    assert {"deg": [1]} == recorder.current()["weather"].data


def test_a_back_fill_does_not_become_current(recorder):
    """It is in the history all the same."""
    recorder.record("weather", 1)
    recorder.record("weather", 2, make_current=False)
    assert 1 == recorder.current()["weather"].data
    assert [1, 2] == data_of(recorder.history())


def test_an_ephemeral_event_is_only_current(recorder):
    """It takes a number, and leaves no trace in the history."""
    event = recorder.record("status", 1, store_permanently=False)
    assert (1, False) == (event.seq, event.store_permanently)
    assert [] == list(recorder.history())
    assert 1 == recorder.current()["status"].data
    assert 2 == recorder.record("status", 2).seq


def test_a_retry_is_recorded_once(recorder):
    """Also within one batch; the answer is the event that is stored, and says so."""
    first = recorder.record("weather", {"deg": 1}, id="a")
    again = recorder.record("weather", {"deg": 1}, id="a")
    events = recorder.record_many(
        [Draft("weather", {"deg": 1}, id="a"), Draft("power", 2, id="b"), Draft("power", 2, id="b")]
    )

    assert (first, False, True) == (again, first.is_duplicate, again.is_duplicate)
    assert [True, False, True] == [event.is_duplicate for event in events]
    assert [{"deg": 1}, 2] == data_of(recorder.history())


def test_an_id_of_another_event_is_refused(recorder):
    """The error names it; nothing of the batch is kept."""
    recorder.record("weather", 1, id="a")
    with pytest.raises(IdConflictError) as caught:
        recorder.record_many([Draft("power", 1), Draft("weather", 2, id="a")])
    with pytest.raises(IdConflictError):
        recorder.record("power", 1, id="a")

    assert ("a", 1) == (caught.value.event_id, caught.value.seq)
    assert [1] == data_of(recorder.history())


def test_durable_flushes_before_it_returns(grouped):
    """One event or a batch; otherwise nothing is flushed."""
    with Recorder(grouped) as recorder:
        recorder.record("weather", 1)
        recorder.record_many([Draft("weather", 2)])
        assert 0 == grouped.flushes
        recorder.record("weather", 3, durable=True)
        recorder.record_many([Draft("weather", 4)], durable=True)
        assert 2 == grouped.flushes
        recorder.flush()
        assert 3 == grouped.flushes


class CountingStorage(MemoryStorage):
    """Counts its flushes."""

    flushes = 0

    def flush(self):
        """Count it."""
        self.flushes += 1


def test_durable_flushes_where_the_caller_appends():
    """The same promise where a commit is cheap."""
    storage = CountingStorage()
    with Recorder(storage) as recorder:
        recorder.record("weather", 1)
        assert 0 == storage.flushes
        recorder.record("weather", 1, durable=True)
        recorder.record_many([Draft("weather", 1)], durable=True)
        recorder.flush()
    assert 3 == storage.flushes


def test_many_threads_record_at_once(recorder):
    """Each event once, in each thread's order, numbered without a gap."""
    together = threading.Barrier(6)

    def record(thread):
        together.wait(PATIENCE_S)
        for number in range(20):
            if number % 2:
                recorder.record(f"t{thread}", number)
            else:
                recorder.record_many([Draft(f"t{thread}", number)])

    calls = [Call(lambda thread=thread: record(thread)) for thread in range(6)]
    for call in calls:
        call.result(PATIENCE_S)

    events = list(recorder.history())
    assert list(range(1, 121)) == [event.seq for event in events]
    for thread in range(6):
        assert list(range(20)) == [event.data for event in events if event.type == f"t{thread}"]


class Preparer:
    """Enriches a draft, leaves it alone, or refuses it, by its type."""

    @hookimpl
    def telemetry_prepare_event(self, draft):
        """Look at the type."""
        if draft.type == "secret":
            raise InvalidEventError([Problem("$.type", "not here")])
        if draft.type == "quiet":
            return evolve(draft, store_permanently=False)
        if draft.type == "weather":
            return evolve(draft, data={"raw": draft.data}, meta={"by": "plugin"})
        return None


class Second:
    """Sees what the one before it returned."""

    @hookimpl(trylast=True)
    def telemetry_prepare_event(self, draft):
        """Count the keys."""
        return evolve(draft, data=[draft.data, dict(draft.meta or {})])


def test_plugins_prepare_a_draft_one_after_the_other():
    """What is checked and recorded is what the last one returned."""
    with telemetry_core.open("memory:", plugins=[Preparer(), Second()]) as recorder:
        events = [recorder.record("weather", 1), *recorder.record_many([Draft("power", 2)])]
    assert [[{"raw": 1}, {"by": "plugin"}], [2, {}]] == data_of(events)


def test_a_refusal_by_a_plugin_has_its_place():
    """Alone it is the event's own path; in a batch it begins with the place in the batch."""
    with telemetry_core.open("memory:", plugins=[Preparer()]) as recorder:
        with pytest.raises(InvalidEventError) as alone:
            recorder.record("secret", 1)
        with pytest.raises(InvalidEventError) as unfit:
            recorder.record("weather", object())
        with pytest.raises(InvalidEventError) as among:
            recorder.record_many([Draft("power", 1), Draft("secret", 1)])
        assert [] == list(recorder.history())

    assert ["$.type", "$.data.raw", "$[1].type"] == [
        one.value.problems[0].path for one in (alone, unfit, among)
    ]


def test_a_plugin_may_make_an_event_ephemeral(forgetful):
    """It is current all the same, over a storage that does not keep such."""
    plugins = telemetry_core.Plugins([Preparer()])
    with Recorder(forgetful, plugins=plugins) as recorder:
        recorder.record("quiet", 1)
        assert 1 == recorder.current()["quiet"].data
        assert [] == list(recorder.history())


def test_a_storage_that_fails_to_answer_is_closed_again():
    """Opening fails whole: no lock and no thread is left behind."""
    closed = []

    class Broken(MemoryStorage):
        def active_run(self):
            raise StorageError("the tape is torn")

        def close(self):
            super().close()
            closed.append(True)

    class Plugin:
        @hookimpl
        def telemetry_register_storage(self):
            return telemetry_core.StorageType(
                scheme="torn", summary="", settings=MemorySettings, open=lambda _: Broken()
            )

    with pytest.raises(StorageError, match="the tape is torn"):
        telemetry_core.open("torn:", plugins=[Plugin()])
    assert [True] == closed


def test_what_is_opened_is_named_by_its_url(tmp_path):
    """A plain path means files; the storage below can be reached."""
    with telemetry_core.open(tmp_path / "site") as recorder:
        recorder.record("weather", 1)
        assert str(tmp_path / "site") == recorder.storage.site_dir
    with telemetry_core.open("memory:") as recorder:
        assert isinstance(recorder.storage, MemoryStorage)
    with pytest.raises(UnknownStorageError):
        telemetry_core.open("nope:")


def test_a_recorder_goes_on_in_the_active_run(tmp_path):
    """A run that was active when the site was closed gets the events after it is opened again."""
    with telemetry_core.open(tmp_path / "site") as recorder:
        recorder.start_run("001")
        recorder.record("weather", 1)
    with telemetry_core.open(tmp_path / "site", site_types="power") as recorder:
        assert ("001", None) == (
            recorder.record("weather", 2).run_id,
            recorder.record("power", 3).run_id,
        )
        assert [1, 2] == data_of(recorder.history(run="001"))
