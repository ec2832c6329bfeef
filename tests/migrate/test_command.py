"""`telemetry migrate` as it is called in a shell."""

import json
import os
import pty
import subprocess
import sys

import pytest
from click.testing import CliRunner

import telemetry_core
from telemetry_core.cli.group import make_cli


@pytest.fixture
def run():
    """Return a function that runs `telemetry` with words and returns what came of it."""
    return lambda *words: CliRunner().invoke(make_cli(), list(map(str, words)))


def test_migrate_reports_and_ends_well(archive, record, run):
    """Files on stdout for a pipe, the sum on stderr, exit code 0."""
    archive.add("weather", record(1, "2026-03-18T00:00:00"))
    done = run("migrate", "--source", archive.source, "--dest", archive.dest)
    assert done.exit_code == 0, done.output
    assert done.stdout == "weather.json\t1\t0\n"
    assert "1 read = 1 written + 0 already there + 0 rejected, 1 days" in done.stderr


def test_rejects_change_the_exit_code(archive, record, run):
    """6 says that something was rejected, unless the caller allows it."""
    archive.add("weather", record(1, "2026-03-18T00:00:00"), "hello")
    words = ["migrate", "--source", archive.source, "--dest", archive.dest]
    done = run(*words)
    assert done.exit_code == 6
    assert "rejected.ndjson" in done.stderr
    assert run(*words, "--allow-rejects").exit_code == 0


def test_rejects_go_where_they_are_wanted(archive, run, tmp_path):
    """`--rejects FILE` works for a dry run too."""
    archive.add("weather", "hello")
    wanted = tmp_path / "mine.ndjson"
    words = ["--source", archive.source, "--dest", archive.dest, "--rejects", wanted]
    assert run("migrate", *words, "--dry-run").exit_code == 6
    assert json.loads(wanted.read_text())["raw"] == '"hello"'


def test_json_is_one_document(archive, record, run):
    """The report and what was verified are there for a program."""
    archive.add("weather", record(1, "2026-03-18T00:00:00"))
    words = ["--source", archive.source, "--dest", archive.dest, "--verify", "--json"]
    report = json.loads(run("migrate", *words).stdout)
    assert (report["read"], report["written"], report["days"]) == (1, 1, {"20260318": 1})
    assert report["files"] == [{"file": "weather.json", "read": 1, "rejected": 0}]
    assert report["verified"][0]["is_same"]


def test_verify_prints_a_row_for_each_day_and_type(archive, record, run):
    """Counts and hashes of both sides."""
    archive.add("weather", record(1, "2026-03-18T00:00:00"))
    done = run("migrate", "--source", archive.source, "--dest", archive.dest, "--verify")
    row = done.stdout.splitlines()[-1].split("\t")
    assert row[:4] == ["20260318", "weather", "1", "1"]
    assert row[4] == row[5]
    assert row[6] == "same"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--source", "/nowhere"], 3, "nothing to migrate"),
        (["--day", "observing", "--timezone", "Mars"], 2, "Mars"),
        (["--day", "week"], 2, "week"),
    ],
)
def test_what_is_wrong_has_an_exit_code(archive, run, *, words, code, message):
    """No archive is 3, a wrong option 2."""
    archive.write("weather", b"")
    done = run("migrate", "--source", archive.source, "--dest", archive.dest, *words)
    assert done.exit_code == code
    assert message in done.stderr


def test_an_occupied_target_has_an_exit_code(archive, record, run):
    """7 says that the target holds something else, 5 that somebody writes there."""
    archive.add("weather", record(1, "2026-03-18T00:00:00"))
    words = ["migrate", "--source", archive.source, "--dest", archive.dest]
    with telemetry_core.open(archive.dest) as recorder:
        recorder.record("weather", 1)
        assert run(*words).exit_code == 5
    done = run(*words)
    assert done.exit_code == 7
    assert "--merge" in done.stderr
    assert run(*words, "--merge").exit_code == 7


def test_a_bar_is_shown_at_a_terminal_only(archive, record):
    """A person sees how far it is; a log file has one line at the end."""
    archive.add("weather", record(1, "2026-03-18T00:00:00"))
    program = "from telemetry_core.cli import main; main()"
    command = [sys.executable, "-c", program, "migrate", "--source", archive.source]
    said = []
    for number, stderr in enumerate([subprocess.PIPE, None]):
        ours, theirs = pty.openpty()
        done = subprocess.run(
            [*command, "--dest", archive.dest / str(number)],
            stdout=subprocess.PIPE,
            stderr=theirs if stderr is None else stderr,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
            check=True,
        )
        os.close(theirs)
        said.append(_all_of(ours).decode() if stderr is None else done.stderr.decode())
        os.close(ours)
    assert said[0].splitlines() == [
        "1 read = 1 written + 0 already there + 0 rejected, 1 days",
    ]
    for phase in ["reading", "writing", "1 read = 1 written"]:
        assert phase in said[1]


def _all_of(terminal):
    text = b""
    while True:
        try:
            block = os.read(terminal, 65536)
        except OSError:  # Linux says so when the other end is closed
            return text
        if not block:
            return text
        text += block


def test_numbers_that_became_null_are_told(archive, run):
    """What changes on the way is said."""
    archive.write("weather", b'{"_id": 1, "date": "2026-03-18T00:00:00", "data": NaN}')
    done = run("migrate", "--source", archive.source, "--dest", archive.dest)
    assert "1 numbers that JSON does not have" in done.stderr
