"""telemetry_server: a process that serves, and ends with its parent."""

import multiprocessing
import signal
import socket
import subprocess
import sys

import pytest

from telemetry_http import ServerUnreachableError, TelemetryClient, telemetry_server
from tests.ports import lasting_port

PARENT = """
import multiprocessing, sys, time
from telemetry_http import TelemetryClient, telemetry_server
if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[3])
    process = telemetry_server(site_dir=sys.argv[1], port=int(sys.argv[2]))
    client = TelemetryClient(host="127.0.0.1", port=int(sys.argv[2]))
    while True:
        try:
            client.health()
            break
        except ConnectionError:
            time.sleep(0.05)
    client.post_event("weather", 1)
    print(process.pid, flush=True)
    if sys.argv[4] == "stay":
        time.sleep(60)
    process.terminate()
    process.join()
    print(process.exitcode, process.is_alive(), flush=True)
"""


def _run(tmp_path, method, what):
    port = lasting_port()
    script = tmp_path / "parent.py"
    script.write_text(PARENT, "utf-8")
    command = [sys.executable, str(script), str(tmp_path / "site"), str(port), method, what]
    return port, subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_it_serves_under_every_start_method(tmp_path, method):
    """`terminate` and `join` are the process's own, and it ends with 0."""
    _, parent = _run(tmp_path, method, "stop")
    output, _ = parent.communicate(timeout=50)

    assert ["0", "False"] == output.split()[1:]
    assert 1 == sum(path.read_text().count("\n") for path in tmp_path.rglob("*.ndjson"))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_it_ends_when_its_parent_is_killed(tmp_path, method, eventually):
    """No process stays behind to hold the port."""
    port, parent = _run(tmp_path, method, "stay")
    assert parent.stdout is not None
    assert parent.stdout.readline().strip().isdigit()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    def is_free():
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", port)) != 0

    assert eventually(is_free)


def test_it_can_be_made_without_being_started(tmp_path):
    """`auto_start=False` leaves that to the caller."""
    process = telemetry_server(site_dir=tmp_path / "site", port=lasting_port(), auto_start=False)

    assert isinstance(process, multiprocessing.process.BaseProcess)
    assert not process.is_alive()
    assert process.daemon
    assert not (tmp_path / "site").exists()


def test_the_error_names_the_url_where_nothing_answers():
    """It is a ConnectionError, as programs expect."""
    with TelemetryClient(port=lasting_port()) as client, pytest.raises(ConnectionError) as caught:
        client.health()

    assert isinstance(caught.value, ServerUnreachableError)
    assert client.base_url in str(caught.value)
