"""systemd is told when the service answers, that it lives, and when it begins to end."""

import contextlib
import os
import socket

import pytest

from telemetry_http.notify import READY, Notifier


@contextlib.contextmanager
def listener(address):
    """Listen at *address*, as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.settimeout(20)
        yield listening


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_each_state_is_one_datagram(tmp_path, kind):
    """At a path, and at a name that is in no directory."""
    address = str(tmp_path / "notify") if kind == "path" else f"\0telemetry-{os.getpid()}"
    with listener(address) as listening:
        notifier = Notifier({"NOTIFY_SOCKET": address.replace("\0", "@")})
        notifier.tell(READY)
        assert b"READY=1" == listening.recv(100)


def test_that_nobody_listens_is_no_error(tmp_path, caplog):
    """Neither without systemd, nor when it has gone."""
    Notifier({}).tell(READY)
    assert "" == caplog.text
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).tell(READY)
    assert "nobody hears" in caplog.text


@pytest.mark.parametrize(
    ("environment", "every_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_it_lives_twice_as_often_as_is_asked_for(environment, every_s):
    """And says nothing in the name of another process."""
    assert every_s == Notifier({"NOTIFY_SOCKET": "@x", **environment}).every_s


def test_the_service_tells_its_states(serve, tmp_path):
    """Ready when it answers, alive in between, stopping when asked to."""
    path = str(tmp_path / "notify")
    with listener(path) as listening:
        service = serve(NOTIFY_SOCKET=path, WATCHDOG_USEC="100000")
        told = [listening.recv(100) for _ in range(4)]
        assert 200 == service.ask("GET", "/health").status
        assert 0 == service.end()
        with contextlib.suppress(BlockingIOError):
            listening.settimeout(0)
            while True:
                told.append(listening.recv(100))

    assert 1 == told.count(b"READY=1")
    assert told.count(b"WATCHDOG=1") >= 3
    assert b"STOPPING=1" == told[-1]
