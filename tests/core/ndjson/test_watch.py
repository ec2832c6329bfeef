"""A second process reads along: whole, in order, each event once."""

import json
import subprocess
import sys

import pytest

from telemetry_core.testing.samples import data_of, make_draft, make_run, stop
from tests.core.ndjson import follower
from tests.core.ndjson.sites import append, line, number, open_site, snapshot


@pytest.fixture
def follow(site):
    """Start a process that follows the site directory; its lines are what it saw."""
    started = []

    def start(way):
        command = [sys.executable, follower.__file__, str(site), way]
        # Unbuffered: what is read ahead here would be lost to who reads on below it.
        process = subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0)
        started.append(process)
        assert process.stdout.readline() == b"open\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def seen_by(process):
    """Return what the follower saw until the last event."""
    # Not by `communicate`, which passes over what `readline` had read ahead.
    seen = [json.loads(text) for text in process.stdout]
    assert process.wait(40) == 0
    return seen


def test_other_processes_see_each_event_once(storage, follow):
    """Over noon, the start and the end of runs, batches over two files, and ephemeral events."""
    number(storage, "first")
    processes = [follow(way) for way in follower.WAYS]
    told = [number(storage, "second")]
    for n in range(40):
        run = storage.start_run(make_run(f"{n // 2:03d}"))
        for k in range(10):
            wishes = [make_draft(data=f"{n} {k} {m}", run_id=run.run_id) for m in range(3)]
            wishes[k % 3] = make_draft(data=f"{n} {k} site")
            told += append(storage, *wishes, seconds=n * 7200 + k)
        append(storage, make_draft("status", store_permanently=False), seconds=n * 7200 + 20)
        stop(storage, run)
        told.append(number(storage, f"{n} after", seconds=n * 7200 + 30))
    told.append(number(storage, follower.LAST, seconds=41 * 7200))
    wanted = [[event.seq, event.data, event.run_id] for event in told]
    for process in processes:
        first, *rest = seen_by(process)
        assert first[1] == "first"
        assert rest == wanted


def test_a_reader_sees_a_run_that_came_and_went(site, storage):
    """Nobody looked while it was active, and its file is written no more."""
    number(storage, 1)
    with open_site(site, read_only=True) as reader:
        assert data_of(reader) == [1]
        run = storage.start_run(make_run("001"))
        last = number(storage, 2, run_id="001")
        stop(storage, run)
        storage.start_run(make_run("002"))
        assert reader.wait(0, 0) == last.seq
        assert data_of(reader) == [1, 2]


def test_a_reader_sees_days_that_came_and_went(site, storage):
    """Two noons have passed since it looked."""
    number(storage, 1)
    with open_site(site, read_only=True) as reader:
        assert data_of(reader) == [1]
        for day in range(1, 5):
            number(storage, day, seconds=day * 86400)
        assert data_of(reader) == [1, 1, 2, 3, 4]


@pytest.mark.parametrize("has_checkpoint", [True, False])
def test_a_reader_passes_over_a_day_without_events(site, storage, has_checkpoint):
    """The writer may have died when it had just made the file of a new day."""
    last = number(storage, 1)
    storage.close()
    (site / "site_20260319.ndjson").touch()
    if not has_checkpoint:
        (site / ".telemetry" / "checkpoint.json").unlink()
    with open_site(site, read_only=True) as reader:
        assert reader.wait(0, 0) == last.seq
        assert data_of(reader) == [1]
        assert snapshot(reader) == {"weather": last.seq}


def test_a_reader_sees_what_is_written_without_a_checkpoint(site):
    """Files of another program, which grow, need nothing of ours."""
    site.mkdir()
    path = site / "site_20260318.ndjson"
    path.write_bytes(line(1))
    with open_site(site, read_only=True) as reader:
        assert reader.wait(0) == 1
        with path.open("ab") as file:
            file.write(line(2) + line(3)[:10])
        assert reader.wait(1) == 2
        assert data_of(reader) == [1, 2]


def test_a_reader_sees_runs_and_current_of_the_writer(site, storage):
    """What the checkpoint does not say is in the lines behind it."""
    with open_site(site, read_only=True) as reader:
        assert reader.active_run() is None
        run = storage.start_run(make_run("001", target="M42"))
        event = number(storage, 1, run_id="001")
        assert reader.active_run() == storage.active_run()
        assert snapshot(reader) == {"weather": event.seq}
        stop(storage, run)
        assert reader.active_run() is None
        assert list(reader.runs()) == list(storage.runs())
