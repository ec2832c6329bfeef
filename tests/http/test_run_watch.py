"""Runs are told once, whether they start and stop here or elsewhere."""

import pytest

from telemetry_core import Recorder
from telemetry_core.memory import MemoryStorage
from telemetry_http.run_watch import RunWatch


class Told:
    """What was told, in its order."""

    def __init__(self, recorder):
        self.facts = []
        self.watch = RunWatch(
            recorder,
            started=[lambda run: self.facts.append(("started", run.run_id))],
            stopped=[lambda run: self.facts.append((run.status, run.run_id))],
        )


@pytest.fixture
def recorder():
    """A recorder of whose runs nobody is told."""
    with Recorder(MemoryStorage()) as recorder:
        yield recorder


def test_what_happens_elsewhere_is_found(recorder):
    """A run that started, one that stopped, and one in whose place another started."""
    told = Told(recorder)
    told.watch.look()
    recorder.start_run("a")
    told.watch.look()
    told.watch.look()
    recorder.stop_run(status="aborted")
    recorder.start_run("b")
    told.watch.look()
    recorder.stop_run()
    told.watch.look()
    assert told.facts == [
        ("started", "a"),
        ("aborted", "a"),
        ("started", "b"),
        ("completed", "b"),
    ]


def test_what_was_told_is_not_told_again(recorder):
    """Neither after a look that was quicker, nor by a look that comes later."""
    told = Told(recorder)
    run = recorder.start_run("a")
    told.watch.look()
    told.watch.run_started(run)
    stopped = recorder.stop_run()
    told.watch.run_stopped(stopped)
    told.watch.look()
    told.watch.run_stopped(stopped)
    assert told.facts == [("started", "a"), ("completed", "a")]


def test_a_run_that_is_late_told_of_does_not_end_the_next(recorder):
    """Its end was found before, together with the start of the next."""
    told = Told(recorder)
    told.watch.run_started(recorder.start_run("a"))
    stopped = recorder.stop_run()
    recorder.start_run("b")
    told.watch.look()
    told.watch.run_stopped(stopped)
    assert told.facts == [("started", "a"), ("completed", "a"), ("started", "b")]


def test_a_run_that_was_there_is_no_news(recorder):
    """Its end is."""
    recorder.start_run("a")
    told = Told(recorder)
    told.watch.look()
    recorder.stop_run()
    told.watch.look()
    assert told.facts == [("completed", "a")]
