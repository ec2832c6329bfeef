"""Many processes at one site: nothing is missed, nothing is given twice, one run is active."""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest

import telemetry_core

ROOT = Path(__file__).parents[2]
PATIENCE_S = 45


@pytest.fixture
def url(server, site):
    """The URL of a new site."""
    return f"{server.url()}?site={quote(site)}"


@contextlib.contextmanager
def processes(count, work, url):
    """Start *count* processes, and let them begin together."""
    command = [sys.executable, "-m", "tests.postgres.worker", work, url]
    started = [
        subprocess.Popen(
            [*command, str(n)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(count)
    ]
    try:
        for process in started:
            assert process.stdout.readline() == "ready\n"
        for process in started:
            process.stdin.write("go\n")
            process.stdin.flush()
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def results(started):
    """Return what each of the processes reports."""
    said = [json.loads(process.stdout.readline()) for process in started]
    assert [process.wait(PATIENCE_S) for process in started] == [0] * len(started)
    return said


def test_one_of_twenty_racers_wins(url):
    """On five processes; each of the others is told who did."""
    with telemetry_core.open(url) as recorder:
        with processes(5, "race", url) as started:
            answers = [answer for told in results(started) for answer in told]
        winners = [run_id for how, run_id in answers if how == "won"]
        assert len(winners) == 1
        assert [run_id for how, run_id in answers if how == "lost to"] == winners * 19
        assert [run.run_id for run in recorder.runs()] == winners


def test_a_cursor_misses_nothing_of_twelve_writers(url):
    """Once a seq was read nothing below it appears: the order of seqs is that of commits."""
    seen = []
    with telemetry_core.open(url) as recorder:
        with processes(3, "write", url) as started:
            deadline = time.monotonic() + PATIENCE_S
            while len(seen) < 1200 and time.monotonic() < deadline:
                after = seen[-1] if seen else 0
                seen.extend(event.seq for event in recorder.history(after=after))
            given = sorted(seq for seqs in results(started) for seq in seqs)
        seen.extend(event.seq for event in recorder.history(after=seen[-1]))
        missed = set(given) - set(seen)
        assert (missed, len(seen)) == (set(), 1200)
        assert seen == given == [event.seq for event in recorder.history()]


def test_a_slow_follower_misses_nothing(url):
    """It falls behind, and comes to the end all the same."""
    with telemetry_core.open(url) as recorder, processes(1, "write", url) as started:
        followed = []
        for event in recorder.follow(after=0, limit=400):
            followed.append(event.seq)
            time.sleep(0.001)
        (given,) = results(started)
        assert followed == sorted(given)
