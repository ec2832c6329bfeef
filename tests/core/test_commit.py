"""Group commit: many callers share one costly append, and none pays for another one's mistake."""

import threading

import pytest

from telemetry_core import (
    Draft,
    IdConflictError,
    Plugins,
    Recorder,
    StorageClosedError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
    hookimpl,
)
from telemetry_core.memory import MemoryStorage
from telemetry_core.testing.calls import Call

PATIENCE_S = 20.0


@pytest.fixture
def heard():
    """Return the list of what an observer heard."""
    return []


@pytest.fixture
def recorder(grouped, heard):
    """Return a recorder whose commit is costly, with an observer."""

    class Listener:
        @hookimpl
        def telemetry_event_recorded(self, event):
            heard.append(event)

        @hookimpl
        def telemetry_run_started(self, run):
            heard.append(run)

    with Recorder(grouped, plugins=Plugins([Listener()])) as one:
        yield one
        grouped.gate.set()


@pytest.fixture
def stand(grouped, recorder):
    """
    Return a function that lets calls wait together behind one append, in the order given.

    It returns the calls; when the gate is opened they go on.
    """

    def wait_together(*functions):
        grouped.gate.clear()
        first = Call(lambda: recorder.record("first", None))
        assert grouped.arrived.acquire(timeout=PATIENCE_S)
        calls = []
        for function in functions:
            calls.append(Call(function))
            settle(calls[-1])
        return [first, *calls]

    return wait_together


def settle(call):
    """Give *call* the time to take its place in the queue; it must wait there."""
    with pytest.raises(pytest.fail.Exception):
        call.result(0.1)


def results(calls):
    """Return what the calls returned or raised."""
    found = []
    for call in calls:
        try:
            found.append(call.result(PATIENCE_S))
        except Exception as error:  # noqa: BLE001  # whatever came
            found.append(error)
    return found


def test_one_append_holds_what_many_callers_wait_for(grouped, recorder, stand):
    """Single events and batches alike; each caller gets its own events."""
    calls = stand(
        lambda: recorder.record("weather", 1),
        lambda: recorder.record_many([Draft("weather", 2), Draft("weather", 3)]),
        lambda: recorder.record("weather", 4),
    )
    grouped.gate.set()
    _, one, batch, last = results(calls)

    assert [1, 4] == grouped.batches
    assert (1, [2, 3], 4) == (one.data, [event.data for event in batch], last.data)
    assert [1, 2, 3, 4, 5] == [event.seq for event in recorder.history()]


def test_a_caller_alone_waits_for_nobody(grouped, recorder):
    """Its append is one of its own."""
    recorder.record("weather", 1)
    recorder.record_many([Draft("weather", 2)] * 3)
    assert [1, 3] == grouped.batches


def test_a_group_has_a_largest_size(grouped, recorder, stand):
    """What does not fit waits for the next one; a batch is never divided."""
    batch = [Draft("weather", number) for number in range(600)]
    calls = stand(*[lambda: recorder.record_many(batch)] * 3)
    grouped.gate.set()

    assert [600] * 3 == [len(one) for one in results(calls)[1:]]
    assert [1, 600, 600, 600] == grouped.batches
    recorder.record_many(batch * 4)
    assert 2400 == grouped.batches[-1]


def test_the_mistake_of_one_caller_is_its_own(grouped, recorder, stand):
    """An id that belongs to another event refuses that caller's batch and no other."""
    recorder.record("weather", 0, id="a")
    grouped.arrived.acquire()
    calls = stand(
        lambda: recorder.record("weather", 1),
        lambda: recorder.record_many([Draft("power", 2), Draft("weather", 3, id="a")]),
        lambda: recorder.record_many([Draft("weather", 4), Draft("weather", 0, id="a")]),
    )
    grouped.gate.set()
    _, one, refused, mixed = results(calls)

    assert 1 == one.data
    assert isinstance(refused, IdConflictError)
    assert ("a", 1) == (refused.event_id, refused.seq)
    assert [(4, False), (0, True)] == [(event.data, event.is_duplicate) for event in mixed]
    assert [0, None, 1, 4] == [event.data for event in recorder.history()]


def test_an_error_reaches_every_caller_as_its_own(grouped, recorder, heard, stand):
    """With the same facts; nothing was kept, nothing is heard, and the next call is served."""
    append = grouped.append
    calls = stand(
        lambda: recorder.record("weather", 1),
        lambda: recorder.record_many([Draft("weather", 2)]),
        lambda: recorder.record("weather", 3, durable=True),
    )

    def fail(*_):
        grouped.append = append
        raise StorageUnavailableError("grouped:", "no answer", retry_after_s=2.0)

    grouped.append = fail
    grouped.gate.set()
    first, *errors = results(calls)

    assert [StorageUnavailableError] * 3 == [type(error) for error in errors]
    assert [("grouped:", "no answer", 2.0)] * 3 == [error.args for error in errors]
    assert 3 == len({id(error) for error in errors})
    assert [first] == list(recorder.history())
    last = recorder.record("weather", 4)
    recorder.close()
    assert [first, last] == heard


def test_a_flush_that_fails_is_for_those_who_asked_for_it(grouped, recorder, heard, stand):
    """The events are stored, so the others of the group have theirs, and observers hear of all."""

    def fail():
        raise StorageFullError("grouped:", "no room")

    calls = stand(
        lambda: recorder.record("weather", 1),
        lambda: recorder.record("weather", 2, durable=True),
    )
    grouped.flush = fail
    grouped.gate.set()
    _, event, error = results(calls)
    assert (1, StorageFullError) == (event.data, type(error))
    stored = list(recorder.history())
    recorder.close()
    assert stored == heard


class OddError(StorageError):
    """An error of a plugin, whose arguments do not make it again."""

    def __init__(self, place, *, code):
        self.code = code
        super().__init__(f"{place}: {code}")


@pytest.mark.parametrize("error", [OddError("x", code=5), ZeroDivisionError()])
def test_an_error_of_any_kind_ends_no_writer(grouped, recorder, stand, error):
    """Every caller of the group gets it, and the next one is served."""

    def fail(*_):
        raise error

    calls = stand(*[lambda: recorder.record("weather", 1)] * 3)
    append, grouped.append = grouped.append, fail
    grouped.gate.set()
    assert [type(error)] * 3 == [type(one) for one in results(calls)[1:]]
    grouped.append = append
    assert 2 == recorder.record("weather", 2).data


def test_one_flush_serves_a_whole_group(grouped, recorder, stand):
    """As many callers as ask for it."""
    calls = stand(*[lambda: recorder.record("weather", 1, durable=True)] * 4)
    grouped.gate.set()
    results(calls)
    assert 1 == grouped.flushes


class SlowFlush(MemoryStorage):
    """Cheap to append to; a flush stands at a gate."""

    def __init__(self):
        super().__init__()
        self.gate = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.flushes = 0

    def flush(self):
        """Wait at the gate, and count."""
        self.arrived.release()
        assert self.gate.wait(PATIENCE_S)
        self.flushes += 1


def test_callers_share_a_flush_where_an_append_is_cheap():
    """Whoever asks while one is under way is served by the next one; appends go on meanwhile."""
    storage = SlowFlush()
    with Recorder(storage) as recorder:
        first = Call(lambda: recorder.record("weather", 1, durable=True))
        assert storage.arrived.acquire(timeout=PATIENCE_S)
        calls = [
            Call(lambda: recorder.record("weather", 2, durable=True)),
            Call(lambda: recorder.record_many([Draft("weather", 2)], durable=True)),
            Call(recorder.flush),
        ]
        for call in calls:
            settle(call)
        assert 4 == recorder.record("weather", 3).seq
        storage.gate.set()
        results([first, *calls])
    assert 2 == storage.flushes


def test_actions_keep_their_place_between_the_batches(grouped, recorder, heard, stand):
    """What was recorded before a start goes to the site, what comes after it to the run."""
    calls = stand(
        lambda: recorder.record("weather", 1),
        lambda: recorder.start_run("001"),
        lambda: recorder.record("weather", 2),
        lambda: recorder.record("weather", 3),
        recorder.flush,
        lambda: recorder.record("weather", 4),
    )
    grouped.gate.set()
    first, one, run, two, three, flushed, four = results(calls)

    assert [None, None, "001", "001", "001"] == [
        event.run_id for event in (first, one, two, three, four)
    ]
    assert ([1, 1, 2, 1], 1, None) == (grouped.batches, grouped.flushes, flushed)
    recorder.close()
    assert [first, one, run, two, three, four] == heard


def test_an_action_that_fails_is_its_callers_alone(grouped, recorder, stand):
    """What waits before and after it is recorded."""
    calls = stand(
        lambda: recorder.record("weather", 1),
        recorder.stop_run,
        lambda: recorder.record("weather", 2),
    )
    grouped.gate.set()
    _, one, error, two = results(calls)
    assert (1, "no run is active", 2) == (one.data, str(error), two.data)


def test_closing_finishes_what_waits(grouped, recorder, heard, stand):
    """What came before the close is recorded, what comes after it is refused."""
    calls = stand(
        lambda: recorder.record("weather", 1),
        recorder.close,
        lambda: recorder.record("weather", 2),
    )
    grouped.gate.set()
    first, one, _, late = results(calls)

    assert isinstance(late, StorageClosedError)
    assert [first, one] == heard
    with pytest.raises(StorageClosedError):
        recorder.record("weather", 3)


def test_the_writer_is_gone_after_closing(recorder):
    """No thread is left behind."""

    def writers():
        return [one for one in threading.enumerate() if one.name == "telemetry-writer"]

    before = len(writers())
    recorder.close()
    assert before - 1 == len(writers())


def test_observers_hear_groups_in_the_order_of_seq(recorder, heard):
    """Whichever thread's event came first, its number is lower and it is heard first."""
    together = threading.Barrier(5)

    def record(thread):
        together.wait(PATIENCE_S)
        return [recorder.record(f"t{thread}", number).seq for number in range(40)]

    calls = [Call(lambda thread=thread: record(thread)) for thread in range(5)]
    given = results(calls)
    recorder.close()

    assert list(range(1, 201)) == [event.seq for event in heard]
    assert all(seqs == sorted(seqs) for seqs in given)
    assert list(range(1, 201)) == sorted(seq for seqs in given for seq in seqs)
