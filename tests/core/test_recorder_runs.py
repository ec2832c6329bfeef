"""Runs through a recorder: how they are named, how they end, and who may end them."""

import logging
import os
from pathlib import PurePosixPath

import pytest

import telemetry_core
from telemetry_core import (
    InvalidRunError,
    NoActiveRunError,
    Recorder,
    RunActiveError,
    UnknownRunError,
)
from telemetry_core.memory import MemoryStorage

NOW = "2026-03-18T00:05:48.955Z"


def test_a_started_run_is_active(recorder, clock):
    """It says when it began; stopping it says when it ended, and that it was completed."""
    run = recorder.start_run("M42", meta={"target": "M42"})
    assert ("M42", NOW, "active") == (run.run_id, run.started_at, run.status)
    assert {"target": "M42", "run_id": "M42"} == run.meta
    assert run == recorder.active_run() == recorder.find_run("M42")

    recorder.record("weather", 1)
    clock.ns += 1_000_000_000
    stopped = recorder.stop_run()

    assert ("2026-03-18T00:05:49.955Z", "completed", None, 1) == (
        stopped.stopped_at,
        stopped.status,
        stopped.reason,
        stopped.events,
    )
    assert recorder.active_run() is None
    assert [stopped] == list(recorder.runs())


@pytest.mark.parametrize(
    ("given", "run_id"),
    [
        ({}, "001"),
        ({"run_id": "mine"}, "mine"),
        ({"meta": {"run_id": "of-meta"}}, "of-meta"),
        ({"directory": "nights/first"}, "first"),
        ({"directory": "nights/first/"}, "first"),
        ({"directory": PurePosixPath("nights/first")}, "first"),
        ({"meta": {"run_id": None}, "directory": "first"}, "first"),
        ({"run_id": "mine", "meta": {"run_id": "of-meta"}, "directory": "first"}, "mine"),
        ({"meta": {"run_id": "of-meta"}, "directory": "first"}, "of-meta"),
    ],
)
def test_a_run_is_named_by_what_is_known_of_it(recorder, given, run_id):
    """By the call, else its meta, else its directory, else the next number; its meta says so."""
    run = recorder.start_run(**given)
    assert (run_id, run_id) == (run.run_id, run.meta["run_id"])
    assert recorder.record("weather", 1).run_id == run_id
    directory = given.get("directory")
    assert (None if directory is None else str(directory)) == run.directory


def test_runs_are_numbered(recorder):
    """After the highest there is, whatever else there is."""
    found = []
    for run_id in (None, "M42", None, "041", None):
        found.append(recorder.start_run(run_id).run_id)
        recorder.stop_run()
    assert ["001", "M42", "002", "041", "042"] == found


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"run_id": "a/b"}, "$.run_id"),
        ({"run_id": ""}, "$.run_id"),
        ({"run_id": 5}, "$.run_id"),
        ({"meta": {"run_id": 5}}, "$.run_id"),
        ({"meta": {"run_id": "site_1"}}, "$.run_id"),
        ({"directory": "nights/first night"}, "$.run_id"),
        ({"directory": ""}, "$.run_id"),
        ({"directory": "/"}, "$.run_id"),
        ({"directory": ".."}, "$.run_id"),
        ({"meta": [1]}, "$.meta"),
        ({"meta": []}, "$.meta"),
        ({"meta": ""}, "$.meta"),
        ({"meta": {"a": object()}}, "$.meta.a"),
    ],
)
def test_a_run_that_cannot_be_kept_is_refused(recorder, given, path):
    """Nothing is created, and events go on to the site."""
    with pytest.raises(InvalidRunError) as caught:
        recorder.start_run(**given)
    assert [path] == [problem.path for problem in caught.value.problems]
    assert ([], None) == (list(recorder.runs()), recorder.active_run())
    assert recorder.record("weather", 1).run_id is None


def test_a_second_run_is_refused(recorder):
    """The error carries the active one, which goes on."""
    run = recorder.start_run("001")
    for run_id in ("001", "002", None):
        with pytest.raises(RunActiveError) as caught:
            recorder.start_run(run_id)
        assert run == caught.value.run
    assert "001" == recorder.record("weather", 1).run_id


def test_a_run_of_the_same_id_goes_on(recorder):
    """First start, counts and meta stay; the new meta lies over the old one."""
    first = recorder.start_run("001", meta={"a": 1, "b": 1})
    recorder.record("weather", 1)
    recorder.stop_run(status="failed", reason="no power")
    again = recorder.start_run("001", meta={"b": 2})
    recorder.record("weather", 2)

    assert ({"run_id": "001", "a": 1, "b": 2}, first.started_at, "active", None, 1) == (
        again.meta,
        again.started_at,
        again.status,
        again.reason,
        again.events,
    )
    assert (2, ["001"]) == (recorder.stop_run().events, [run.run_id for run in recorder.runs()])
    assert [1, 2] == [event.data for event in recorder.history(run="001")]


@pytest.mark.parametrize("status", ["completed", "failed", "aborted", "lost"])
def test_a_run_stops_as_it_is_told(recorder, status):
    """With a reason, which is kept."""
    recorder.start_run("001")
    stopped = recorder.stop_run(status=status, reason="clouds: é")
    assert (status, "clouds: é") == (stopped.status, stopped.reason)
    assert stopped == recorder.find_run("001")


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"status": "active"}, "$.status"),
        ({"status": "done"}, "$.status"),
        ({"reason": 5}, "$.reason"),
    ],
)
def test_a_run_that_is_stopped_wrongly_goes_on(recorder, given, path):
    """The caller may try again."""
    recorder.start_run("001")
    with pytest.raises(InvalidRunError) as caught:
        recorder.stop_run(**given)
    assert [path] == [problem.path for problem in caught.value.problems]
    assert "001" == recorder.record("weather", 1).run_id
    assert recorder.stop_run().stopped_at is not None


def test_only_the_run_that_is_meant_is_stopped(recorder):
    """Another id is refused, and none is refused when there is none."""
    with pytest.raises(NoActiveRunError, match="no run is active"):
        recorder.stop_run()
    with pytest.raises(NoActiveRunError, match="run '001' is not active"):
        recorder.stop_run("001")
    recorder.start_run("001")
    with pytest.raises(NoActiveRunError, match="run '002' is not active"):
        recorder.stop_run("002")
    assert "001" == recorder.active_run().run_id
    assert "001" == recorder.stop_run("001").run_id


def test_an_unknown_run_is_not_found(recorder):
    """The error names it."""
    recorder.start_run("001")
    assert "001" == recorder.find_run("001").run_id
    with pytest.raises(UnknownRunError, match="no run '002'"):
        recorder.find_run("002")


def test_a_block_is_a_run(recorder):
    """It is completed at its end; what is recorded in it is in its stream."""
    with recorder.run("M42", meta={"target": "M42"}, directory="nights/M42") as run:
        assert run == recorder.active_run()
        recorder.record("weather", 1)
    found = recorder.find_run("M42")

    assert ("completed", None, 1, "M42", "nights/M42") == (
        found.status,
        found.reason,
        found.events,
        found.meta["target"],
        found.directory,
    )
    assert recorder.record("weather", 2).run_id is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
        (SystemExit(2), "SystemExit: 2"),
    ],
)
def test_a_block_that_raises_is_a_failed_run(recorder, error, reason):
    """The error is its reason, and goes on its way."""
    with pytest.raises(type(error)), recorder.run("001"):
        raise error
    found = recorder.find_run("001")
    assert ("failed", reason) == (found.status, found.reason)
    assert recorder.active_run() is None


def test_a_block_that_fails_over_a_strange_name_is_a_failed_run(tmp_path):
    """The error is told, and the run is stopped, also when the name of a file is no UTF-8."""
    name = os.fsdecode(b"caf\xe9")
    with telemetry_core.open(tmp_path / "site") as recorder:
        with pytest.raises(ValueError, match="no image"), recorder.run("001"):
            raise ValueError(f"no image {name}")
        found = recorder.find_run("001")
    assert ("failed", "ValueError: no image caf\\udce9") == (found.status, found.reason)


def test_a_block_whose_run_was_stopped_by_somebody_else_just_ends(recorder, caplog):
    """With a warning; the run ended as they said, and a run of theirs is left alone."""
    with caplog.at_level(logging.WARNING), recorder.run("001"):
        recorder.stop_run(status="aborted", reason="clouds")
        recorder.start_run("002")
    assert ("aborted", "clouds") == (
        recorder.find_run("001").status,
        recorder.find_run("001").reason,
    )
    assert "002" == recorder.active_run().run_id
    assert "run '001' was stopped by somebody else" in caplog.text


def test_a_block_that_raises_after_somebody_else_stopped_it_raises_its_own(recorder):
    """Nothing hides the error."""

    def observe():
        with recorder.run("001"):
            recorder.stop_run()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        observe()
    assert "completed" == recorder.find_run("001").status


def test_a_block_whose_run_cannot_start_is_not_entered(recorder):
    """Nor is the active run touched."""
    recorder.start_run("001")
    with pytest.raises(RunActiveError), recorder.run("002"):
        pytest.fail("the block was entered")
    assert "001" == recorder.active_run().run_id


class InterruptedStorage(MemoryStorage):
    """Is interrupted, as by Ctrl-C, when it has done what it was asked."""

    def start_run(self, run):
        """Start it all the same."""
        super().start_run(run)
        raise KeyboardInterrupt

    def finish_run(self, run):
        """Finish it all the same."""
        super().finish_run(run)
        raise KeyboardInterrupt


def test_events_go_where_the_storage_says_after_an_interrupt():
    """Also when the recorder was not told whether the run started or stopped."""
    with Recorder(InterruptedStorage()) as recorder:
        with pytest.raises(KeyboardInterrupt):
            recorder.start_run("001")
        assert "001" == recorder.record("weather", 1).run_id
        with pytest.raises(KeyboardInterrupt):
            recorder.stop_run()
        assert recorder.record("weather", 2).run_id is None
