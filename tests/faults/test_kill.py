"""A process is killed while it records: what it acknowledged is there, what it did not is not."""

import contextlib
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException

import pytest

from tests.faults import oracle
from tests.faults.driver import IS_LONG, PATIENCE_S, fresh, places, wait_until

ROUNDS = 100 if IS_LONG else 3
CLIENTS = 3


@pytest.mark.timeout(1800 if IS_LONG else 60)
@pytest.mark.parametrize("durability", ["os", "interval", "always"])
def test_promises_hold_when_a_recorder_is_killed(place, worker, durability):
    """Four threads record all kinds of events; the moment of the kill is another each time."""
    chance = random.Random(durability)
    for _ in range(ROUNDS):
        trial = fresh(place / "trial")
        pid = worker.begin(trial, "load", durability=durability)
        worker.kill_after(pid, trial, chance.randrange(10, 3000))
        story, _ = oracle.check(trial)
        assert len(story.acknowledged()) > 2


@pytest.mark.timeout(1800 if IS_LONG else 60)
def test_promises_hold_when_it_is_killed_again_and_again(place, worker):
    """The story goes on in the same directory, through one kill after the other."""
    chance = random.Random(1)
    lines = 0
    for _ in range(ROUNDS):
        pid = worker.begin(place, "load", first=lines)
        worker.kill_after(pid, place, lines + chance.randrange(10, 1000))
        lines = places(place)[1].read_bytes().count(b"\n")
    oracle.check(place)


@pytest.mark.timeout(1800 if IS_LONG else 60)
def test_promises_hold_when_the_service_is_killed(place):
    """Three clients post events; what was answered with 200 is there once."""
    chance = random.Random(2)
    for _ in range(ROUNDS):
        trial = fresh(place / "trial")
        facts = _facts_of_killed_service(trial, events=chance.randrange(3, 500))
        _, story = places(trial)
        story.write_text("".join(json.dumps(fact) + "\n" for fact in facts), encoding="utf-8")
        told, _ = oracle.check(trial)
        assert len(told.acknowledged()) > 2


def _facts_of_killed_service(trial, *, events):
    """Start the service, post events to it, kill it after so many, and tell what was answered."""
    port = _free_port()
    command = "from telemetry_core.cli import main; main()"
    words = ["run", "--port", str(port), "--site-dir", str(places(trial)[0])]
    process = subprocess.Popen([sys.executable, "-c", command, *words], stderr=subprocess.DEVNULL)
    facts = []
    try:
        wait_until(lambda: _is_answering(port, process))
        threads = [
            threading.Thread(target=_post_events, args=(port, number, facts))
            for number in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(facts) > 2 * events)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)
    for thread in threads:
        thread.join()
    return facts


def _post_events(port, client, facts):
    """Post events until the connection breaks, and tell it in *facts* as the worker does."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    event = {"type": "weather", "id": None, "make_current": True, "store_permanently": True}
    for number in range(client, 1_000_000, CLIENTS):
        wish = {"n": number, **event, "pad": 200}
        if number % 5 == 0:
            wish["id"] = f"id {number}"
        data = {"n": number, "pad": "x" * 200}
        body = {**{name: wish[name] for name in event}, "data": data}
        facts.append({"ask": number, "what": "record", "thread": str(client), "events": [wish]})
        try:
            body = json.dumps({name: value for name, value in body.items() if value is not None})
            connection.request("POST", "/event", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            stored = json.loads(answer.read())
        except (OSError, HTTPException, ValueError):
            break
        assert answer.status == 200, stored
        told = {"n": number, "seq": stored["seq"], "ts": stored["ts"]}
        told |= {"run_id": None, "is_duplicate": False}
        facts.append({"answer": number, "error": None, "events": [told]})
    connection.close()


def _is_answering(port, process):
    assert process.poll() is None, "it ended"
    with contextlib.suppress(ConnectionRefusedError):
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        connection.request("GET", "/health")
        connection.getresponse().read()
        connection.close()
        return True
    time.sleep(0.05)
    return False


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
