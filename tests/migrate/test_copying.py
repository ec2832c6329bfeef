"""A site is copied whole: events under their numbers, runs, current values; and goes on later."""

import itertools
import threading

import pytest
from attrs import evolve

import telemetry_core
from telemetry_core import (
    EVERYTHING,
    Draft,
    Recorder,
    Storage,
    StorageType,
    hookimpl,
)
from telemetry_core.memory import MemorySettings, MemoryStorage
from telemetry_core.testing.samples import append, current_data, make_draft, make_run, stored
from telemetry_migrate import copy
from telemetry_migrate.errors import DivergedError, SourceSettingsError


@pytest.fixture
def recorder():
    """A recorder with a bit of everything: streams, runs, ids, events that are not current."""
    with Recorder(MemoryStorage()) as recorder:
        recorder.record("weather", {"sky": "clear"}, ts="2026-03-18T00:05:48.955398Z")
        recorder.record("power", 1, meta={"from": "test"}, id="one")
        with recorder.run("001", meta={"target": "M42"}):
            recorder.record("weather", 2)
            recorder.record("power", 3, make_current=False)
            recorder.record("weather", 4, stream="site")
        yield recorder


@pytest.fixture(params=["memory", "ndjson"])
def target(request):
    """Each storage that can replicate."""
    return request.getfixturevalue(f"{request.param}_target")


@pytest.fixture
def memory_target():
    """An empty memory storage."""
    return MemoryStorage()


@pytest.fixture
def ndjson_target(tmp_path):
    """An empty site directory."""
    with telemetry_core.open(tmp_path / "copy") as recorder:
        yield recorder.storage


def assert_same(one, other):
    """Check that two storages hold the same site."""
    assert stored(other) == stored(one)
    runs, others = ([evolve(run, directory=None) for run in each.runs()] for each in (one, other))
    assert others == runs
    assert current_data(other) == current_data(one)
    assert (other.active_run() is None) == (one.active_run() is None)
    for run in one.runs():
        assert stored(other, run=run.run_id) == stored(one, run=run.run_id)


def test_a_copy_is_the_same_site(recorder, target):
    """Numbers, streams, ids, runs with their counts and current values are those of the source."""
    report = copy(recorder.storage, target, verify=True)
    assert_same(recorder.storage, target)
    assert (report.read, report.written, report.last_seq, report.runs) == (5, 5, 5, 1)
    assert report.is_verified


def test_an_ephemeral_event_is_copied_as_current_only(recorder, target):
    """It takes its number in its place, and is in no history."""
    recorder.record("door", "open", store_permanently=False)
    recorder.record("weather", 5)
    recorder.record("door", "closed", store_permanently=False)
    copy(recorder.storage, target, verify=True)
    assert_same(recorder.storage, target)
    copy(recorder.storage, target, verify=True)
    assert append(target, make_draft())[0].seq == 9


def test_a_copy_goes_on_where_it_ended(recorder, target):
    """What was recorded since is added, and a run that went on goes on."""
    copy(recorder.storage, target)
    recorder.start_run("002")
    recorder.record("weather", 5)
    copy(recorder.storage, target)
    assert_same(recorder.storage, target)
    recorder.record("weather", 6)
    recorder.stop_run(status="failed", reason="clouds")
    recorder.start_run("001")
    recorder.record("weather", 7)
    report = copy(recorder.storage, target, verify=True)
    assert_same(recorder.storage, target)
    assert report.written == 2


def test_a_run_resumed_and_stopped_between_copies_is_brought_up_to_date(recorder, target):
    """Its end is the last one, whatever was active meanwhile."""
    recorder.start_run("002")
    copy(recorder.storage, target)
    recorder.stop_run()
    with recorder.run("001"):
        recorder.record("weather", 8)
    copy(recorder.storage, target)
    assert_same(recorder.storage, target)


def test_a_run_that_was_resumed_between_others_is_copied(recorder, target):
    """One copy goes through all of it: a run, another one, and the first one again."""
    for run_id in ("002", "001", "002"):
        with recorder.run(run_id):
            recorder.record("weather", run_id)
    recorder.start_run("001")
    recorder.record("weather", "last")
    copy(recorder.storage, target, verify=True)
    assert_same(recorder.storage, target)


def test_a_target_with_a_run_of_its_own_is_no_copy(recorder, target):
    """Its run is not ended for it."""
    target.start_run(make_run("mine"))
    with pytest.raises(DivergedError, match="'mine' is active"):
        copy(recorder.storage, target)
    assert target.active_run().run_id == "mine"


def test_a_copy_of_a_copy_is_the_same(recorder, target):
    """Nothing is lost on the way."""
    between = MemoryStorage()
    copy(recorder.storage, between)
    copy(between, target)
    assert_same(recorder.storage, target)


def test_the_copy_gives_numbers_above_those_it_has(recorder, target):
    """A copy can take over from the original."""
    copy(recorder.storage, target)
    (event,) = append(target, make_draft(data="new"))
    assert event.seq > 5


class _FailsAfter(MemoryStorage):
    """A target that goes away after some batches."""

    def __init__(self, batches):
        super().__init__()
        self.left = batches

    def replicate(self, events):
        """Fail when no batch is left."""
        if events and not self.left:
            raise ConnectionError
        self.left -= bool(events)
        super().replicate(events)


def test_an_interrupted_copy_is_completed(recorder):
    """Each batch is whole; the same call goes on behind the last one."""
    recorder.record_many([telemetry_core.Draft("weather", number) for number in range(5000)])
    target = _FailsAfter(2)
    with pytest.raises(ConnectionError):
        copy(recorder.storage, target)
    stored_before = len(stored(target))
    assert 0 < stored_before < 5000
    target.left = 100
    report = copy(recorder.storage, target, verify=True)
    assert report.written == 5005 - stored_before
    assert_same(recorder.storage, target)


def test_another_site_is_no_copy(recorder, target):
    """A target that holds other events under these numbers is left alone."""
    append(target, make_draft(data="mine"))
    with pytest.raises(DivergedError, match="event 1"):
        copy(recorder.storage, target)
    assert [event.data for event in stored(target)] == ["mine"]


def test_a_target_ahead_of_the_source_is_no_copy(recorder, target):
    """It was written to after it was copied."""
    copy(recorder.storage, target)
    append(target, make_draft(data="mine"))
    with pytest.raises(DivergedError):
        copy(recorder.storage, target)


class _Numbering(MemoryStorage):
    """A target that gives its own numbers only."""

    replicate = Storage.replicate


def test_a_target_that_gives_its_own_numbers_gets_the_events_anew(recorder):
    """Time, type, data, meta and id are kept, its own run is left alone, a rerun adds nothing."""
    target = _Numbering()
    with Recorder(target) as mine:
        mine.record("weather", "mine")
        mine.start_run("mine")
        report = copy(recorder.storage, target)
        assert (report.read, report.written, report.is_recorded_anew) == (5, 5, True)
        recorder.record("weather", "new")
        assert copy(recorder.storage, target).written == 1
        assert mine.current()["weather"].data == "mine"
        found = list(mine.history(stream="site"))[1:]
    original = list(recorder.history())
    assert [(one.ts, one.type, one.data) for one in found] == [
        (one.ts, one.type, one.data) for one in original
    ]
    assert [one.meta["original_id"] for one in found] == [one.seq for one in original]
    assert found[1].meta["from"] == "test"
    assert found[1].id == "one"
    assert found[2].meta["original_run"] == "001"


def test_what_gets_new_numbers_cannot_be_verified(recorder):
    """It is said before anything is written."""
    target = _Numbering()
    with pytest.raises(SourceSettingsError, match="--verify"):
        copy(recorder.storage, target, verify=True)
    assert stored(target) == []


def test_verify_finds_a_difference(recorder):
    """Both sides are read, event by event."""

    class Forgets(MemoryStorage):
        def read(self, selection=EVERYTHING):
            return (event for event in super().read(selection) if event.seq != 2)

    with pytest.raises(DivergedError, match="event 2 differs"):
        copy(recorder.storage, Forgets(), verify=True)


class _Forgetting(MemoryStorage):
    """A source that makes room: it gives no event up to a seq."""

    through = 0

    def removed_through(self):
        """Say so."""
        return self.through

    def read(self, selection=EVERYTHING):
        """Leave them out."""
        after = max(selection.after, self.through)
        return super().read(evolve(selection, after=after))


def test_a_copy_keeps_what_the_source_removed(recorder, target):
    """It goes on behind its last event, and what both still have is compared."""
    source = _Forgetting()
    copy(recorder.storage, source)
    copy(source, target)
    before = stored(target)
    source.through = 3
    (event,) = append(source, make_draft())
    assert copy(source, target, verify=True).written == 1
    assert stored(target) == [*before, event]


def test_a_copy_behind_what_the_source_removed_is_refused(recorder, target):
    """Nobody can say whether it is one, and what was removed meanwhile would be missing."""
    source = _Forgetting()
    copy(recorder.storage, source)
    copy(source, target)
    source.through = append(source, make_draft())[0].seq
    append(source, make_draft())
    with pytest.raises(DivergedError, match="event 5, its last one, was removed"):
        copy(source, target)


@pytest.mark.parametrize("missing", [1, 3, 5])
def test_verify_finds_what_only_the_copy_has(recorder, target, missing):
    """Whether at the beginning, in the middle or at the end."""

    class Misses(MemoryStorage):
        def read(self, selection=EVERYTHING):
            limited = selection.limit is not None
            return (one for one in super().read(selection) if limited or one.seq != missing)

    source = Misses()
    copy(recorder.storage, source)
    copy(recorder.storage, target)
    with pytest.raises(DivergedError, match=f"event {missing} differs"):
        copy(source, target, verify=True)


def test_a_site_that_is_being_written_is_copied(tmp_path, target):
    """Each copy is one as of a moment, and the last one is all, verified beside the writer."""
    stop = threading.Event()
    with telemetry_core.open(tmp_path / "site") as recorder:

        def write():
            for number in itertools.count():
                with recorder.run(f"{number:03d}"):
                    recorder.record_many([Draft("weather", each) for each in range(50)])
                    recorder.record("power", number, stream="site")
                if stop.is_set():
                    return

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(5):
                copy(tmp_path / "site", target, verify=True)
        finally:
            stop.set()
            writer.join()
        copy(tmp_path / "site", target, verify=True)
        assert_same(recorder.storage, target)


def test_a_run_whose_facts_are_lost_is_copied_as_lost(recorder, target):
    """Its events say that it was there."""

    class WithoutFacts(Storage):
        append = start_run = finish_run = close = None

        def runs(self):
            return iter(())

        def read(self, selection=EVERYTHING):
            return recorder.history(after=selection.after, limit=selection.limit)

    copy(WithoutFacts(), target)
    assert stored(target) == stored(recorder.storage)
    (run,) = target.runs()
    assert (run.run_id, run.status, run.events) == ("001", "lost", 2)


def test_storages_are_found_by_url(recorder):
    """A plugin's storage is source and target by its scheme."""

    class Stays(MemoryStorage):
        def close(self):
            """Stay open, to be looked at."""

    original, replica = Stays(), Stays()
    copy(recorder.storage, original)

    class Kept:
        @hookimpl
        def telemetry_register_storage(self):
            return StorageType(
                scheme="kept",
                summary="two storages that stay",
                settings=MemorySettings,
                open=lambda settings: original if settings.url == "kept:one" else replica,
            )

    plugins = telemetry_core.Plugins([Kept()])
    copy("kept:one", "kept:two", plugins=plugins)
    assert_same(original, replica)


def test_an_ndjson_directory_is_read_without_its_lock(tmp_path, target):
    """A live site can be copied while it is written."""
    with telemetry_core.open(tmp_path / "site") as recorder:
        recorder.record("weather", 1)
        with recorder.run("001"):
            recorder.record("weather", 2)
        copy(tmp_path / "site", target, verify=True)
        assert stored(target) == list(recorder.history())
