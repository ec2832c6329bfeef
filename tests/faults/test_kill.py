"""A process is killed while it records: what it acknowledged is there, what it did not is not."""

import json
import random
import threading
from http.client import HTTPException

import pytest

from tests.faults import oracle
from tests.faults.driver import IS_LONG, fresh, places, wait_until
from tests.faults.service import Service, send

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
    """Post events to a service, kill it after so many, and tell what was answered."""
    facts = []
    with Service.running(places(trial)[0]) as service:
        threads = [
            threading.Thread(target=_post_events, args=(service, client, facts))
            for client in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(facts) > 2 * events)
        service.kill()
        for thread in threads:
            thread.join()
    return facts


def _post_events(service, client, facts):
    """Post events until the connection breaks, and tell it in *facts* as the worker does."""
    connection = service.connect()
    for number in range(client, 1_000_000, CLIENTS):
        wish = {
            "n": number,
            "pad": 200,
            "type": "weather",
            "id": f"id {number}",
            "make_current": True,
            "store_permanently": True,
        }
        event = {name: wish[name] for name in ("type", "id", "make_current", "store_permanently")}
        event["data"] = {"n": number, "pad": "x" * 200}
        facts.append({"ask": number, "what": "record", "thread": str(client), "events": [wish]})
        try:
            status, stored = send(connection, "POST", "/event", event)
        except (OSError, HTTPException, ValueError):
            break
        assert status == 200, stored
        told = {"n": number, "seq": stored["seq"], "ts": stored["ts"]}
        told |= {"run_id": None, "is_duplicate": False}
        facts.append({"answer": number, "error": None, "events": [told]})
    connection.close()
