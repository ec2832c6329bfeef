"""Observers: every plugin hears of everything, in order, and none can harm another one."""

import asyncio
import threading

import pytest

import telemetry_core
from telemetry_core import Draft, Plugins, hookimpl
from telemetry_core.observers import MAX_WAITING, Observers
from telemetry_core.testing import make_draft

PATIENCE_S = 20.0


class Listener:
    """Keeps what it heard."""

    def __init__(self):
        self.heard = []
        self.got_it = threading.Condition()

    @hookimpl
    def telemetry_event_recorded(self, event):
        """Keep the event."""
        self._keep(event)

    @hookimpl
    def telemetry_run_started(self, run):
        """Keep the run."""
        self._keep(run)

    @hookimpl
    def telemetry_run_stopped(self, run):
        """Keep the run."""
        self._keep(run)

    def _keep(self, fact):
        with self.got_it:
            self.heard.append(fact)
            self.got_it.notify_all()

    def wait_for(self, count):
        """Return what was heard once there are *count* facts of it."""
        with self.got_it:
            assert self.got_it.wait_for(lambda: len(self.heard) >= count, PATIENCE_S)
            return list(self.heard)


class Gated(Listener):
    """Hears the next fact only once the gate is open."""

    def __init__(self):
        super().__init__()
        self.gate = threading.Event()
        self.arrived = threading.Event()

    @hookimpl
    def telemetry_event_recorded(self, event):
        """Wait at the gate first."""
        self.arrived.set()
        assert self.gate.wait(PATIENCE_S)
        self._keep(event)


def test_facts_come_in_the_order_they_became_true():
    """Events of all streams, starts and stops; to every observer the same."""
    listeners = [Listener(), Listener()]
    with telemetry_core.open("memory:", plugins=listeners) as recorder:
        first = recorder.record("weather", 1)
        run = recorder.start_run("001")
        batch = recorder.record_many([Draft("a", 2), Draft("b", 3, stream="site")])
        ephemeral = recorder.record("status", 4, store_permanently=False)
        stopped = recorder.stop_run(status="aborted", reason="clouds")
        last = recorder.record("weather", 5, make_current=False)

    for listener in listeners:
        assert [first, run, *batch, ephemeral, stopped, last] == listener.heard


def test_what_threads_record_comes_in_the_order_of_seq():
    """No observer sees a later number before an earlier one."""
    listener = Listener()
    with telemetry_core.open("memory:", plugins=[listener]) as recorder:
        together = threading.Barrier(4)

        def record():
            together.wait(PATIENCE_S)
            for number in range(50):
                recorder.record("weather", number)

        threads = [threading.Thread(target=record) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)

    assert list(range(1, 201)) == [event.seq for event in listener.heard]


def test_a_retry_and_a_refusal_are_no_news():
    """Only what was appended is a fact."""
    listener = Listener()
    with telemetry_core.open("memory:", plugins=[listener]) as recorder:
        recorder.record("weather", 1, id="x")
        recorder.record("weather", 1, id="x")
        with pytest.raises(telemetry_core.IdConflictError):
            recorder.record("weather", 2, id="x")
        with pytest.raises(telemetry_core.InvalidEventError):
            recorder.record("weather", object())
        with pytest.raises(telemetry_core.NoActiveRunError):
            recorder.stop_run()

    assert [1] == [event.data for event in listener.heard]


def test_an_observer_need_not_take_what_it_is_told():
    """As with any hook, it names the arguments it wants."""
    heard = []

    class Counter:
        @hookimpl
        def telemetry_event_recorded(self):
            heard.append("event")

        @hookimpl
        def telemetry_run_stopped(self):
            heard.append("stopped")

    with telemetry_core.open("memory:", plugins=[Counter()]) as recorder, recorder.run():
        recorder.record("weather", 1)

    assert ["event", "stopped"] == heard


def test_a_slow_observer_holds_up_no_other():
    """Nor the caller: all the facts are heard while the slow one stands at its first."""
    slow, quick = Gated(), Listener()
    with telemetry_core.open("memory:", plugins=[slow, quick]) as recorder:
        for number in range(20):
            recorder.record("weather", number)
        assert list(range(20)) == [event.data for event in quick.wait_for(20)]
        assert [] == slow.heard
        slow.gate.set()

    assert list(range(20)) == [event.data for event in slow.heard]


class Unlucky:
    """Fails each time it is told, in a way of its own."""

    def __init__(self, error):
        self.error = error
        self.told = 0

    @hookimpl
    def telemetry_event_recorded(self, event):  # noqa: ARG002
        """Fail."""
        self.told += 1
        raise self.error


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("by zero"), SystemExit(1), asyncio.CancelledError()]
)
def test_an_observer_that_raises_is_told_the_next_fact_all_the_same(caplog, error):
    """It is logged by its name each time, whatever it raised; others hear everything."""
    unlucky, listener = Unlucky(error), Listener()
    plugins = Plugins([listener])
    plugins.manager.register(unlucky, "unlucky-one")
    with telemetry_core.open("memory:", plugins=plugins) as recorder:
        for number in range(3):
            recorder.record("weather", number)

    assert [0, 1, 2] == [event.data for event in listener.heard]
    assert 3 == unlucky.told
    assert 3 == caplog.text.count("observer unlucky-one failed in telemetry_event_recorded")


def test_no_observer_can_change_what_another_one_hears():
    """Nor can the caller, who has the event before they do."""
    slow, second = Gated(), Gated()
    with telemetry_core.open("memory:", plugins=[slow, second]) as recorder:
        recorder.record("weather", {"deg": [1]})
        event = recorder.record("weather", {"deg": [2]}, meta={"by": "me"})
        event.data["deg"].append("spoilt")
        event.meta["by"] = "spoilt"
        recorder.start_run("001", meta={"target": "M42"})
        slow.gate.set()
        for heard in slow.wait_for(3)[:2]:
            heard.data["deg"].append("spoilt")
        slow.heard[2].meta["target"] = "spoilt"
        second.gate.set()
        first, last, run = second.wait_for(3)
        assert "M42" == run.meta["target"] == recorder.active_run().meta["target"]

    assert ({"deg": [1]}, {"deg": [2]}, {"by": "me"}) == (first.data, last.data, last.meta)
    assert first is not slow.heard[0]


def test_an_observer_too_far_behind_misses_the_newest(caplog):
    """They are counted and warned of once; it goes on with those it was in time for."""
    slow, quick = Gated(), Listener()
    plugins = Plugins([quick])
    plugins.manager.register(slow, "slow-one")
    with telemetry_core.open("memory:", plugins=plugins) as recorder:
        recorder.record("weather", 0)
        assert slow.arrived.wait(PATIENCE_S)
        for start in range(1, MAX_WAITING + 6, 5):
            recorder.record_many([Draft("weather", start + number) for number in range(5)])
            quick.wait_for(start + 5)
        assert 5 == recorder.missed
        slow.gate.set()

    assert list(range(MAX_WAITING + 1)) == [event.data for event in slow.heard]
    assert MAX_WAITING + 6 == len(quick.heard)
    assert 1 == caplog.text.count("observer slow-one is too slow and misses facts")


def test_closing_delivers_what_is_waiting():
    """An observer that is behind is waited for."""
    slow = Gated()
    recorder = telemetry_core.open("memory:", plugins=[slow])
    for number in range(100):
        recorder.record("weather", number)
    opener = threading.Timer(0.05, slow.gate.set)
    opener.start()
    recorder.close()

    assert list(range(100)) == [event.data for event in slow.heard]
    opener.join(PATIENCE_S)


def test_closing_waits_for_a_stuck_observer_only_so_long(caplog):
    """It is named with what it had still to see; the others have heard everything."""
    stuck, quick = Gated(), Listener()
    plugins = Plugins()
    plugins.manager.register(stuck, "stuck-one")
    plugins.manager.register(quick, "quick-one")
    observers = Observers(plugins.manager)
    observers.events_recorded([make_draft(data=number).recorded(number) for number in range(3)])
    try:
        assert stuck.arrived.wait(PATIENCE_S)
        quick.wait_for(3)
        observers.close(0.2)
        assert "observer stuck-one still had 2 facts to see" in caplog.text
        assert "quick-one" not in caplog.text
    finally:
        stuck.gate.set()
    assert [0, 1, 2] == [event.data for event in stuck.wait_for(3)]


def test_an_observer_may_close_the_recorder():
    """One that watches for the end of the night, for example."""

    class Closer(Listener):
        @hookimpl
        def telemetry_event_recorded(self, event):
            if event.type == "end":
                self.recorder.close()
            self._keep(event)

    closer, listener = Closer(), Listener()
    closer.recorder = telemetry_core.open("memory:", plugins=[closer, listener])
    closer.recorder.record("weather", 1)
    closer.recorder.record("end", 2)

    assert [1, 2] == [event.data for event in closer.wait_for(2)]
    assert [1, 2] == [event.data for event in listener.wait_for(2)]
    with pytest.raises(telemetry_core.StorageClosedError):
        closer.recorder.record("weather", 3)


def test_an_observer_may_record():
    """What it derives comes behind what it was told of, and is told in its turn."""

    class Deriver(Listener):
        @hookimpl
        def telemetry_event_recorded(self, event):
            if event.type == "weather":
                self.recorder.record("derived", -event.data)
            self._keep(event)

    deriver = Deriver()
    with telemetry_core.open("memory:", plugins=[deriver]) as recorder:
        deriver.recorder = recorder
        recorder.record("weather", 1)
        recorder.record("weather", 2)
        heard = deriver.wait_for(4)
        assert [-1, -2] == [event.data for event in recorder.history(types="derived")]

    assert sorted(event.seq for event in heard) == [event.seq for event in heard]


def test_an_observer_has_a_thread_while_it_needs_one():
    """Nor does one that has heard nothing yet; after closing it is gone."""
    plugins = Plugins()
    plugins.manager.register(Listener(), "lonely-one")

    def is_running():
        return "telemetry-observer-lonely-one" in {one.name for one in threading.enumerate()}

    with telemetry_core.open("memory:", plugins=plugins) as recorder:
        before = is_running()
        recorder.record("weather", 1)
        meanwhile = is_running()

    assert (False, True, False) == (before, meanwhile, is_running())
