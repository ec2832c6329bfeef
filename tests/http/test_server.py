"""The service starts honestly and ends in time, whatever its clients are doing."""

import json
import os
import signal
import socket
import threading
import time

import pytest

from telemetry_http import AddressInUseError, AddressRefusedError
from telemetry_http.server import bind


def _connect(port, text=b""):
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(text)
    return connection


HALF_HEAD = b"POST /event HTTP/1.1\r\nHost: localhost\r\n"
HALF_BODY = HALF_HEAD + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
WHOLE = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("text", [b"", HALF_HEAD, HALF_BODY, WHOLE])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_client_connected(server, number, text):
    """Exit 0 within the time a supervisor gives, with nothing lost."""
    server.post("/event", {"type": "weather", "data": 1})
    with _connect(server.port, text):
        server.get("/health")
        server.process.send_signal(number)

        assert 0 == server.process.wait(8)
    assert 1 == len(server.lines())


def test_more_signals_while_it_ends_do_no_harm(start_server):
    """An impatient supervisor, or a finger on Ctrl-C."""
    for _ in range(5):
        server = start_server()
        with _connect(server.port, HALF_BODY):
            server.get("/health")
            for _ in range(20):
                server.process.send_signal(signal.SIGTERM)
                server.process.send_signal(signal.SIGINT)
            assert 0 == server.process.wait(10)
        server.site_dir.joinpath(".telemetry", "lock").unlink()


def test_nothing_acknowledged_is_lost_when_it_is_ended_under_load(server):
    """What was answered with 200 is in the file, each event once."""
    acknowledged = []

    def post():
        while True:
            try:
                answer = server.post("/event", {"type": "weather", "data": 1})
            except (OSError, ValueError):
                return
            except Exception:  # noqa: BLE001  # a cut answer has many faces, and is no answer
                return
            if answer.status == 200:
                acknowledged.append(answer.json["seq"])

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 50:
        time.sleep(0.01)
    server.process.send_signal(signal.SIGTERM)

    assert 0 == server.process.wait(8)
    for thread in threads:
        thread.join(25)
    stored = [line["seq"] for line in server.lines()]
    assert len(stored) == len(set(stored))
    assert set(acknowledged) <= set(stored)


def test_a_port_in_use_is_said_before_anything_else():
    """The error names the port."""
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(AddressInUseError, match=str(port)):
            bind("127.0.0.1", port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "no.such.host.invalid", ""])
def test_only_loopback_is_served(host):
    """Until there are tokens."""
    with pytest.raises(AddressRefusedError):
        bind(host, 0)


def test_the_service_waits_for_no_slow_body(server):
    """A half-sent body keeps nobody else waiting."""
    with _connect(server.port, HALF_BODY):
        assert 200 == server.post("/event", {"type": "weather", "data": 1}).status


def test_a_storage_that_cannot_write_is_told(server):
    """`/ready` tells the truth, and an event is refused with the reason."""
    if os.geteuid() == 0:
        limit = __import__("resource")
        limit.prlimit(server.process.pid, limit.RLIMIT_FSIZE, (0, limit.RLIM_INFINITY))
    else:
        server.site_dir.chmod(0o500)

    answer = server.ask("POST", "/event", json.dumps({"type": "weather", "data": 1}))

    assert answer.status in (503, 507)
    assert answer.json["detail"]
    assert {} == server.get("/current").json["current"]
