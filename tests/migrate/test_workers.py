"""A large archive is worked on in parts and by several processes, with the same outcome."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from telemetry_migrate import copy
from telemetry_migrate.workers import workers


@pytest.fixture
def large(archive, record):
    """An archive of more than one part, with damage in a later one and a record that repeats."""
    texts = [
        json.dumps(
            record(number, f"2026-03-{number % 28 + 1:02d}T00:00:00.{number:06d}", "x" * 900)
        )
        for number in range(20_000)
    ]
    texts[15_000] = "{ torn"
    texts[16_000] = texts[100]
    archive.write("weather", "\n".join(texts).encode())
    archive.add("power", record(1, "2026-03-05T00:00:00", type_="power"), {"no": "date"})
    return archive


def test_several_processes_write_the_same_bytes(large):
    """Files, numbers, rejects and report are those of one process."""
    alone = large.migrate(jobs=1, verify=True)
    files, rejects = large.files(), large.rejects()
    shutil.rmtree(large.dest)
    together = large.migrate(jobs=2, verify=True)
    assert large.files() == files
    assert large.rejects() == rejects
    assert together == alone
    assert together.is_verified
    assert (alone.read, alone.already_there, alone.rejected) == (20_002, 1, 2)


def test_a_reject_has_its_line_in_the_whole_file(large):
    """Lines are counted on from part to part."""
    large.migrate(jobs=1)
    assert [(each["file"], each["line"]) for each in large.rejects()] == [
        ("power.json", 2),
        ("weather.json", 15_001),
    ]


def test_a_source_counts_lines_on_as_well(large, tmp_path):
    """`panfiledb:` reads in parts, so that it holds a part of the rejects at a time."""
    rejects = tmp_path / "rejects.ndjson"
    report = copy(f"panfiledb:{large.source}", "memory:", rejects=rejects)
    assert (report.read, report.rejected) == (20_002, 2)
    found = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(each["file"], each["line"]) for each in found] == [
        ("power.json", 2),
        ("weather.json", 15_001),
    ]


def test_numbers_rise_although_a_record_is_repeated(large):
    """What is left out leaves no hole behind it."""
    large.migrate(jobs=1)
    seqs = [event["seq"] for event in large.events()]
    assert seqs == list(range(1, 20_000))


def test_workers_answer_in_order():
    """Whoever is done first."""
    with workers(2) as map_tasks:
        assert list(map_tasks(abs, range(-20, 0))) == list(range(20, 0, -1))


def test_an_error_of_a_worker_is_raised_here():
    """It is the error itself."""
    with workers(2) as map_tasks, pytest.raises(FileNotFoundError):
        list(map_tasks(os.stat, ["/nowhere"]))


def test_a_worker_that_dies_is_an_error():
    """Its part is not taken for done."""
    with workers(2) as map_tasks, pytest.raises(ChildProcessError, match="ended before"):
        list(map_tasks(os._exit, [1]))


def test_what_a_worker_prints_is_no_answer():
    """A plugin that prints does no harm."""
    with workers(2) as map_tasks:
        assert list(map_tasks(print, ["hello"])) == [None]


KILLED = """
import os, signal, sys
import telemetry_migrate

left = int(sys.argv[3])

def step(_):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

telemetry_migrate.migrate(sys.argv[1], sys.argv[2], jobs=2, progress=step)
"""


@pytest.mark.parametrize("step", [2, 3, 10])
def test_killed_with_its_workers_at_work_it_is_completed(large, step):
    """Workers that are left alone do no harm to the next migration, however soon that comes."""
    command = [sys.executable, "-c", KILLED, large.source, large.dest, str(step)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert large.files() == {}
    large.migrate(jobs=1)
    again = large.files()
    shutil.rmtree(large.dest)
    large.migrate(jobs=1)
    assert large.files() == again
