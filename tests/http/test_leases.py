"""Leases: a run without a sign of life ends as lost; the clock is passed in."""

import pytest

import telemetry_core
from telemetry_core import NoActiveRunError
from telemetry_http.leases import Leases


class Time:
    """A clock that goes on when it is told to."""

    def __init__(self):
        self.seconds = 1000

    def __call__(self):
        """Return nanoseconds."""
        return self.seconds * 1_000_000_000


@pytest.fixture
def clock():
    """Return a clock that stands still."""
    return Time()


@pytest.fixture
def recorder():
    """Return a recorder in memory."""
    with telemetry_core.open("memory:") as recorder:
        yield recorder


def test_a_run_without_a_heartbeat_is_lost(recorder, clock):
    """When its lease is over, not before, and the reason is told."""
    leases = Leases(recorder, clock)
    leases.run_started(recorder.start_run("A", meta={"lease_s": 30}))
    clock.seconds += 29
    leases.check()
    assert recorder.active_run() is not None

    clock.seconds += 1
    leases.check()

    run = recorder.find_run("A")
    assert ("lost", "no sign of life from its owner for 30 s") == (run.status, run.reason)


def test_a_heartbeat_gives_the_whole_lease_again(recorder, clock):
    """As often as it comes in time."""
    leases = Leases(recorder, clock)
    leases.run_started(recorder.start_run("A", meta={"lease_s": 30}))
    for _ in range(3):
        clock.seconds += 29
        assert 30 == leases.heartbeat("A")
        leases.check()

    assert recorder.active_run() is not None


def test_a_lease_holds_after_a_restart(recorder, clock):
    """It is in the run's meta, and counts from the restart."""
    recorder.start_run("A", meta={"lease_s": 30})
    clock.seconds += 1000
    leases = Leases(recorder, clock)
    clock.seconds += 29
    leases.check()
    assert recorder.active_run() is not None

    clock.seconds += 1
    leases.check()

    assert "lost" == recorder.find_run("A").status


@pytest.mark.parametrize("meta", [{}, {"lease_s": None}, {"lease_s": "30"}, {"lease_s": True}])
def test_a_run_without_a_lease_goes_on(recorder, clock, meta):
    """Whatever else stands in its place."""
    leases = Leases(recorder, clock)
    leases.run_started(recorder.start_run("A", meta=meta))
    clock.seconds += 10**6
    leases.check()

    assert recorder.active_run() is not None
    assert leases.heartbeat("A") is None


def test_a_run_that_stopped_is_left_alone(recorder, clock):
    """So is the one that came after it."""
    leases = Leases(recorder, clock)
    leases.run_started(recorder.start_run("A", meta={"lease_s": 30}))
    leases.run_stopped(recorder.stop_run())
    recorder.start_run("B")
    clock.seconds += 100
    leases.check()

    assert "completed" == recorder.find_run("A").status
    assert "B" == recorder.active_run().run_id


@pytest.mark.parametrize("run_id", ["A", "B"])
def test_only_the_active_run_has_a_heartbeat(recorder, clock, run_id):
    """An owner whose run is gone is told."""
    leases = Leases(recorder, clock)
    recorder.start_run("A")
    recorder.stop_run()

    with pytest.raises(NoActiveRunError):
        leases.heartbeat(run_id)


def test_a_lease_is_tried_again_when_the_storage_fails(clock):
    """A run must not live for ever because of one error."""

    class Failing(telemetry_core.memory.MemoryStorage):
        """Fails once to finish a run."""

        __slots__ = ("has_failed",)

        def finish_run(self, run):
            """Fail, or finish it."""
            if not hasattr(self, "has_failed"):
                self.has_failed = True
                raise telemetry_core.StorageUnavailableError("memory:", "a test")
            return super().finish_run(run)

    with telemetry_core.Recorder(Failing()) as recorder:
        leases = Leases(recorder, clock)
        leases.run_started(recorder.start_run("A", meta={"lease_s": 30}))
        clock.seconds += 30
        with pytest.raises(telemetry_core.StorageUnavailableError):
            leases.check()
        leases.check()

        assert "lost" == recorder.find_run("A").status
