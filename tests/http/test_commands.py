"""`telemetry record -`, `history` and `follow`, against a service and against a storage."""

import csv
import io
import json
import signal
import subprocess
import sys

import pytest

PROGRAM = [sys.executable, "-c", "from telemetry_core.cli import main; main()"]


@pytest.fixture(params=["service", "storage"])
def place(request, tmp_path):
    """Return the options of each place that a command can go to."""
    if request.param == "service":
        return ["--host", "127.0.0.1", "--port", str(request.getfixturevalue("server").port)]
    return ["--storage", str(tmp_path / "apart")]


def telemetry(*arguments, stdin=b"", code=0):
    """Return what a command prints, on stdout and on stderr."""
    done = subprocess.run([*PROGRAM, *arguments], input=stdin, capture_output=True, check=False)
    assert code == done.returncode, done.stderr
    return done.stdout.decode(), done.stderr.decode()


def record(place, *events):
    """Record *events*."""
    lines = "".join(json.dumps(event) + "\n" for event in events)
    telemetry("record", *place, "-", stdin=lines.encode())


WEATHER = [
    {"type": "sky", "data": {"n": 1}, "ts": "2026-03-18T00:00:01Z"},
    {"type": "wind", "data": {"n": 2}, "ts": "2026-03-18T00:00:02Z"},
    {"type": "sky", "data": {"a\tb": "\x1b"}, "ts": "2026-03-18T00:00:03Z"},
]


def test_lines_are_recorded_and_bad_ones_named(place):
    """By their numbers, in order, whoever refuses them."""
    lines = b'{"type":"w","data":1,"seq":7}\n\nno\n{"type":"","data":1}\n{"type":"w","data":2}'
    _, said = telemetry("record", *place, "-", stdin=lines, code=1)

    assert ["line 3", "line 4"] == [row.split(":")[0] for row in said.splitlines()[:2]]
    assert "recorded 2, refused 2" in said
    shown, _ = telemetry("history", *place, "--json")
    assert [1, 2] == [json.loads(line)["data"] for line in shown.splitlines()]


def test_many_lines_are_recorded(place):
    """More than one request takes."""
    lines = b"".join(b'{"type":"w","data":%d}\n' % number for number in range(5000))
    _, said = telemetry("record", *place, "-", stdin=lines)

    assert "recorded 5000" in said
    shown, _ = telemetry("history", *place, "--last", "2", "--json")
    assert [4998, 4999] == [json.loads(line)["data"] for line in shown.splitlines()]


def test_history_shows_what_is_asked_for(place):
    """As lines, as NDJSON and as CSV."""
    record(place, *WEATHER)

    lines, _ = telemetry("history", *place, "--type", "wind", "--type", "sky", "--limit", "2")
    late, _ = telemetry("history", *place, "--from", "2026-03-18T00:00:02Z", "--json")
    early, _ = telemetry("history", *place, "--to", "2026-03-18T00:00:02Z", "--csv")
    odd, _ = telemetry("history", *place, "--last", "1")

    first = json.loads(late.splitlines()[0])["seq"] - 1
    assert [
        f'sky\t2026-03-18T00:00:01.000Z\t{first}\t{{"n":1}}',
        f'wind\t2026-03-18T00:00:02.000Z\t{first + 1}\t{{"n":2}}',
    ] == lines.splitlines()
    assert ["wind", "sky"] == [json.loads(line)["type"] for line in late.splitlines()]
    assert [
        ["seq", "ts", "type", "data", "meta"],
        [str(first), "2026-03-18T00:00:01.000Z", "sky", '{"n":1}', "{}"],
    ] == list(csv.reader(io.StringIO(early, newline="")))
    assert "\x1b" not in odd


def test_a_question_that_cannot_be_asked_is_an_error(place):
    """One line that says what."""
    record(place, *WEATHER)

    _, said = telemetry("history", *place, "--from", "yesterday", code=1)
    assert "yesterday" in said
    telemetry("history", *place, "--json", "--csv", code=2)


def test_follow_shows_what_is_recorded(place):
    """From where it is told to begin, until it is interrupted."""
    record(place, *WEATHER)
    command = [*PROGRAM, "follow", *place, "--after", "0", "--type", "sky", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as following:
        found = [json.loads(following.stdout.readline())["data"] for _ in range(2)]
        record(place, {"type": "wind", "data": 3}, {"type": "sky", "data": 4})
        found.append(json.loads(following.stdout.readline())["data"])
        following.send_signal(signal.SIGINT)
        assert 130 == following.wait(10)

    assert [{"n": 1}, {"a\tb": "\x1b"}, 4] == found
