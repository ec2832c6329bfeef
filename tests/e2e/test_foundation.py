"""One command starts the service and records real telemetry, through a kill and a restart."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection

import pytest

TELEMETRY = [sys.executable, "-c", "from telemetry_core.cli import main; main()"]
_START_S = 30.0


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _ask(port, method, path, value=None):
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        body = None if value is None else json.dumps(value)
        connection.request(method, path, body, {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def _telemetry(*words, given=None):
    return subprocess.run(
        [*TELEMETRY, *map(str, words)],
        input=given,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )


@pytest.fixture
def start(tmp_path):
    """Return a function that starts the service and waits until it answers."""
    started = []

    def run(*words):
        port = _free_port()
        command = [*TELEMETRY, "run", "--port", port, "--site-dir", tmp_path / "site", *words]
        process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
        started.append(process)
        deadline = time.monotonic() + _START_S
        while True:
            try:
                _ask(port, "GET", "/health")
            except ConnectionRefusedError:
                assert process.poll() is None, "it ended"
                assert time.monotonic() < deadline, "it never answered"
                time.sleep(0.05)
            else:
                return process, port

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def _current_when(port, types):
    deadline = time.monotonic() + _START_S
    while not set(types) <= set(current := _ask(port, "GET", "/current")["current"]):
        assert time.monotonic() < deadline, f"only {sorted(current)}"
        time.sleep(0.05)
    return current


HOST = ["host.cpu", "host.memory", "host.disk", "host.network"]


def test_the_machine_is_recorded_through_a_kill(start, tmp_path):
    """The seq goes on, current and the open run are back, and no line is torn."""
    process, port = start("--collect", "host", "--every", "0.2", "--site-type", "host.cpu")
    _current_when(port, HOST)
    run = _ask(port, "POST", "/run/start", {"run_id": "M42", "meta": {"observer": "Ada"}})
    weather = _ask(port, "POST", "/event", {"type": "weather", "data": {"sky": "clear"}})
    process.send_signal(signal.SIGKILL)
    process.wait()

    process, port = start()
    current = _current_when(port, [*HOST, "weather"])
    after = _ask(port, "POST", "/event", {"type": "weather", "data": {"sky": "cloudy"}})

    assert run == _ask(port, "GET", "/run")
    assert weather == current["weather"]
    assert after["seq"] > max(event["seq"] for event in current.values())
    process.send_signal(signal.SIGTERM)
    assert 0 == process.wait(10)
    files = sorted((tmp_path / "site").rglob("*.ndjson"))
    lines = [json.loads(line) for path in files for line in path.read_text("utf-8").splitlines()]
    seqs = [line["seq"] for line in lines]
    assert len(seqs) == len(set(seqs))
    assert 2 == len(files)


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_jq_reads_every_line(start, tmp_path):
    """While the service writes."""
    _, port = start("--collect", "host", "--every", "0.2")
    _current_when(port, HOST)
    _telemetry("record", "odd", '"a\\u2028b ☃ \\"quoted\\""', "--port", port)

    (path,) = (tmp_path / "site").glob("site_*.ndjson")
    found = subprocess.run(
        ["jq", "-r", ".type", str(path)], capture_output=True, text=True, timeout=30, check=True
    )

    assert {*HOST, "odd"} <= set(found.stdout.split())


def test_the_command_records_and_shows(start):
    """One event, many events with a bad one among them, runs, and what is current."""
    _, port = start()
    one = _telemetry("record", "weather", '{"sky": "clear"}', "--port", port)
    lines = '{"type":"a","data":1}\n{bad\n{"type":"b","data":[2]}\n'
    many = _telemetry("record", "-", "--port", port, given=lines)
    started = _telemetry("runs", "start", "M42", "--port", port)
    stopped = _telemetry("runs", "stop", "--port", port)
    runs = _telemetry("runs", "list", "--json", "--port", port)
    current = _telemetry("current", "b", "--json", "--port", port)
    missing = _telemetry("current", "nothing", "--port", port)

    assert (0, 1, 0, 0, 0) == tuple(done.returncode for done in (one, many, started, stopped, runs))
    assert "line 2" in many.stderr
    assert "M42" in runs.stdout
    assert [2] == json.loads(current.stdout)["data"]
    assert 3 == missing.returncode


def test_a_port_or_a_directory_in_use_is_named(start, tmp_path):
    """The command ends with a code of its own and says what is in the way."""
    process, port = start()
    same_port = _telemetry("run", "--port", port, "--site-dir", tmp_path / "other")
    same_place = _telemetry("run", "--port", _free_port(), "--site-dir", tmp_path / "site")

    assert (5, 5) == (same_port.returncode, same_place.returncode)
    assert str(port) in same_port.stderr
    assert str(process.pid) in same_place.stderr
    assert not (tmp_path / "other" / "site").exists()


def test_what_cannot_be_started_is_told():
    """An unknown storage names the installed ones; another address than loopback is refused."""
    unknown = _telemetry("run", "--storage", "nope://x")
    address = _telemetry("run", "--host", "192.0.2.1")

    assert unknown.returncode
    assert "'memory', 'ndjson'" in unknown.stderr
    assert address.returncode
    assert "loopback" in address.stderr
    assert 4 == _telemetry("current", "--port", _free_port()).returncode


def test_stop_ends_the_service(start):
    """`telemetry stop` waits for the end."""
    process, port = start()

    assert 0 == _telemetry("stop", "--port", port).returncode
    assert 0 == process.wait(10)
