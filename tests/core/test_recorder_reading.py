"""Reading through a recorder: current values, the history, and following what comes."""

import itertools
import threading
from datetime import UTC, datetime

import pytest

import telemetry_core
from telemetry_core import (
    Draft,
    InvalidSelectionError,
    LaggedError,
    Recorder,
    StorageClosedError,
)
from telemetry_core.testing.calls import Call

PATIENCE_S = 20.0


def data_of(events):
    """Return the data of *events*."""
    return [event.data for event in events]


def test_current_is_the_latest_of_each_type(recorder):
    """In order of seq, whatever is stored of it; each is a cursor to go on from."""
    assert (0, {}) == (recorder.current().as_of_seq, dict(recorder.current()))
    recorder.record("weather", 1)
    recorder.record("status", 2, store_permanently=False)
    recorder.record("power", 3)
    recorder.record("weather", 4, store_permanently=False)
    recorder.record("dome", 5, store_permanently=False, make_current=False)

    snapshot = recorder.current()

    assert [("status", 2), ("power", 3), ("weather", 4)] == [
        (type_, event.data) for type_, event in snapshot.items()
    ]
    assert snapshot.as_of_seq >= snapshot["weather"].seq
    assert 1 == len(list(recorder.history(types="weather")))


def test_a_stored_event_takes_the_place_of_an_ephemeral_one(recorder):
    """And the other way round; the last one recorded wins."""
    for number in range(4):
        recorder.record("weather", number, store_permanently=number % 2 == 0)
        assert number == recorder.current()["weather"].data
    recorder.record("weather", 9, make_current=False)
    assert 3 == recorder.current()["weather"].data


def test_an_ephemeral_event_of_a_batch_is_current(recorder):
    """The last of its type in the batch."""
    recorder.record_many(
        [
            Draft("status", 1, store_permanently=False),
            Draft("status", 2, store_permanently=False),
            Draft("status", 3, store_permanently=False, make_current=False),
            Draft("power", 4),
        ]
    )
    assert {"status": 2, "power": 4} == {
        type_: event.data for type_, event in recorder.current().items()
    }


def test_a_reader_cannot_change_what_is_current(recorder):
    """Each one gets values of its own."""
    recorder.record("status", {"deg": [1]}, store_permanently=False)
    recorder.record("weather", {"deg": [1]})
    for type_ in ("status", "weather"):
        recorder.current()[type_].data["deg"].append("spoilt")
        assert {"deg": [1]} == recorder.current()[type_].data


def test_following_from_a_snapshot_misses_nothing(forgetful):
    """What is recorded while the snapshot is taken is in it, or comes after it."""
    with Recorder(forgetful) as recorder:
        recorder.record("status", 1, store_permanently=False)
        look_at_storage = forgetful.current

        def look_while_others_record():
            snapshot = look_at_storage()
            recorder.record("weather", 2)
            recorder.record("status", 3, store_permanently=False)
            return snapshot

        forgetful.current = look_while_others_record
        snapshot = recorder.current()

        known = [event.data for event in snapshot.values()]
        assert 2 in known + data_of(recorder.history(after=snapshot.as_of_seq))


def fill(recorder):
    """Record 0 to 9: even ones as weather, odd ones as power, 3 to 6 in run 001."""
    for number in range(10):
        if number == 3:
            recorder.start_run("001")
        if number == 7:
            recorder.stop_run()
        type_ = "power" if number % 2 else "weather"
        recorder.record(type_, number, ts=f"2026-03-18T00:00:0{number}Z")


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        ({}, range(10)),
        ({"stream": "site"}, [0, 1, 2, 7, 8, 9]),
        ({"run": "001"}, [3, 4, 5, 6]),
        ({"run": "unknown"}, []),
        ({"types": "weather"}, [0, 2, 4, 6, 8]),
        ({"types": ["weather", "power"]}, range(10)),
        ({"types": {"nope"}}, []),
        ({"since": "2026-03-18T00:00:07Z"}, [7, 8, 9]),
        ({"since": datetime(2026, 3, 18, 0, 0, 7, tzinfo=UTC)}, [7, 8, 9]),
        ({"until": "2026-03-17T14:00:02-10:00"}, [0, 1]),
        ({"after": 8}, [8, 9]),
        ({"limit": 2}, [0, 1]),
        ({"limit": 0}, []),
        ({"last": 2}, [8, 9]),
        ({"last": 0}, []),
        ({"run": "001", "types": "power", "last": 1}, [5]),
        ({"since": "2026-03-18T00:00:02Z", "until": "2026-03-18T00:00:06Z", "limit": 3}, [2, 3, 4]),
    ],
)
def test_the_history_is_chosen_by_every_field(recorder, selection, numbers):
    """Alone and together, in ascending seq."""
    fill(recorder)
    assert list(numbers) == data_of(recorder.history(**selection))


def test_a_history_that_cannot_be_asked_for_is_refused(recorder):
    """At the call, before anything is read."""
    for ask in (recorder.history, recorder.follow):
        with pytest.raises(InvalidSelectionError):
            ask(since="banana")
        with pytest.raises(InvalidSelectionError):
            ask(limit=1, last=1)
        with pytest.raises(InvalidSelectionError):
            ask(after=-1)
        with pytest.raises(TypeError):
            ask(colour="red")


class Follower:
    """Follows in a thread of its own, until it has *count* events or the recorder is closed."""

    def __init__(self, recorder, count=None, **selection):
        self._followed = recorder.follow(**selection)
        self._count = count
        self._call = Call(lambda: list(itertools.islice(self._followed, self._count)))

    def events(self):
        """Return what came, once all of it is there."""
        return self._call.result(PATIENCE_S)


def test_following_begins_with_what_comes(recorder):
    """Counted from the call on, not from when the first event is asked for."""
    recorder.record("weather", 1)
    followed = recorder.follow()
    recorder.record("weather", 2)
    recorder.record("weather", 3)
    assert [2, 3] == data_of(itertools.islice(followed, 2))


def test_following_may_begin_anywhere(recorder):
    """With everything, after an event, or after one that is still to come."""
    events = recorder.record_many([Draft("weather", number) for number in range(3)])
    assert [0, 1, 2] == data_of(itertools.islice(recorder.follow(after=0), 3))
    assert [2] == data_of(itertools.islice(recorder.follow(after=events[1].seq), 1))
    ahead = Follower(recorder, 1, after=5)
    recorder.record_many([Draft("weather", number) for number in range(3, 6)])
    assert [5] == data_of(ahead.events())


def test_followers_see_every_event_once(recorder):
    """Several of them, while several threads record; in order, and no ephemeral one."""
    followers = [Follower(recorder, 120, after=0) for _ in range(3)]
    together = threading.Barrier(3)

    def record(thread):
        together.wait(PATIENCE_S)
        for number in range(20):
            recorder.record(f"t{thread}", number)
            recorder.record(f"t{thread}", number, store_permanently=False)
            recorder.record_many([Draft(f"t{thread}", number, stream="site")])

    for call in [Call(lambda thread=thread: record(thread)) for thread in range(3)]:
        call.result(PATIENCE_S)

    history = list(recorder.history())
    assert 120 == len(history)
    for follower in followers:
        assert history == follower.events()


def test_what_comes_between_two_looks_is_followed_once(forgetful):
    """Events that are recorded after a follower woke up, and before it reads."""
    wait = forgetful.wait
    with Recorder(forgetful) as recorder:

        def wait_while_others_record(after, timeout=None):  # noqa: ARG001
            seen = wait(after, 0)
            recorder.record("weather", seen + 1)
            return seen

        recorder.record("weather", 1)
        forgetful.wait = wait_while_others_record
        assert [1, 2, 3, 4, 5, 6] == data_of(recorder.follow(after=0, limit=6))


def test_following_may_be_narrowed(recorder):
    """By what the history is narrowed by; what lies between is passed over for good."""
    follower = Follower(recorder, 3, after=0, types="power", since="2026-03-18T00:00:02Z")
    in_run = Follower(recorder, 4, run="001")
    fill(recorder)
    assert [3, 5, 7] == data_of(follower.events())
    assert [3, 4, 5, 6] == data_of(in_run.events())


def test_following_ends_after_as_many_as_its_limit(recorder):
    """Counted over all that comes, without a hole between."""
    recorder.record_many([Draft("weather", number) for number in range(5)])
    follower = Follower(recorder, after=0, limit=7)
    recorder.record_many([Draft("weather", number) for number in range(5, 9)])

    assert list(range(7)) == data_of(follower.events())
    assert [0, 1] == data_of(recorder.follow(after=0, limit=2))
    assert [] == list(recorder.follow(after=0, limit=0))


def test_a_follower_that_lags_too_far_is_told(recorder):
    """When it allowed only so many; the error says where to go on."""
    recorder.record_many([Draft("weather", number) for number in range(10)])
    with pytest.raises(LaggedError) as caught:
        next(recorder.follow(after=1, max_lag=8))
    assert 10 == caught.value.after
    assert 1 == next(recorder.follow(after=1, max_lag=9)).data


def test_a_follower_is_told_what_was_removed_before_it_came(forgetful):
    """It has read what is left; one that begins at the beginning asks for just that."""
    with Recorder(forgetful) as recorder:
        recorder.record_many([Draft("weather", number) for number in range(5)])
        forgetful.removed_through = lambda: 3
        followed = recorder.follow(after=2)
        assert [2, 3, 4] == data_of(itertools.islice(followed, 3))
        with pytest.raises(LaggedError) as caught:
            next(followed)
        assert 5 == caught.value.after
        recorder.record("weather", 5)
        assert [5] == data_of(recorder.follow(after=caught.value.after, limit=1))
        assert 6 == len(list(recorder.follow(after=0, limit=6)))


def test_following_the_last_is_refused(recorder):
    """What goes on for ever has no end to count from."""
    with pytest.raises(InvalidSelectionError, match=r"\$\.last: a follower has no end"):
        recorder.follow(last=3)


def test_following_ends_when_the_recorder_is_closed(recorder):
    """Whether it waits or has not begun; what it was given before stays given."""
    waiting = Follower(recorder, after=0)
    reading = recorder.follow(after=0)
    recorder.record("weather", 1)
    idle = recorder.follow(after=0)
    assert 1 == next(reading).data
    recorder.close()

    assert data_of(waiting.events()) in ([], [1])
    assert ([], []) == (list(reading), list(idle))


def test_following_ends_when_the_storage_is_closed(recorder):
    """As when another part of the program closed it underneath."""
    follower = Follower(recorder)
    recorder.storage.close()
    assert [] == follower.events()


def test_a_reader_follows_a_writer_of_files(tmp_path):
    """Over the files, without a lock."""
    with (
        telemetry_core.open(tmp_path / "site") as writer,
        telemetry_core.open(tmp_path / "site", read_only=True) as reader,
    ):
        follower = Follower(reader, 2)
        writer.record("weather", 1)
        writer.record("weather", 2)
        assert [1, 2] == data_of(follower.events())


def test_nothing_is_read_after_closing(recorder):
    """Each call says that the storage is closed."""
    recorder.record("weather", 1)
    recorder.close()
    for ask in (
        recorder.current,
        lambda: list(recorder.history()),
        recorder.follow,
        recorder.active_run,
        lambda: list(recorder.runs()),
        lambda: recorder.find_run("001"),
    ):
        with pytest.raises(StorageClosedError):
            ask()
