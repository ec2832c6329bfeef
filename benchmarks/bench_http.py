"""How close do small requests come to a bare hypercorn app that answers a constant?"""

from __future__ import annotations

import json
import selectors
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.bench_record import WEATHER
from benchmarks.peers import OLD_STACK, old_stack
from benchmarks.rounds import Goal, Served, judge, measure_served, table
from benchmarks.servers import bare, connect, free_port, ours, receive, request, serving

CONNECTIONS = 8
REQUESTS = 3_000
TYPES = 20
JSON = "application/json"
BARE = "bare hypercorn app, constant answer"
EVENT = "POST /event"
CURRENT = f"GET /current, {TYPES} types"


def run(directory: Path) -> None:
    """Print the tables for single events and for what is current."""
    envelope = {"seq": 1, "ts": "2026-03-18T00:05:48.955Z", "type": "weather", "data": WEATHER}
    with ExitStack() as stack:
        port, bare_port = free_port(), free_port()
        pid = stack.enter_context(serving(ours(port, directory / "site"), port))
        command = bare(bare_port, directory, json.dumps({**envelope, "meta": {}}))
        bare_pid = stack.enter_context(serving(command, bare_port))
        old = stack.enter_context(old_stack(directory / "old"))
        servers = {BARE: (bare_pid, bare_port), EVENT: (pid, port)}
        if old is not None:
            servers[OLD_STACK] = old
        _events(servers)
        _current(directory, pid, port)


def _events(servers: dict[str, tuple[int, int]]) -> None:
    body = json.dumps({"type": "weather", "data": WEATHER}).encode()
    seconds, cpu = measure_served(
        {
            name: Served(pid, _load(port, request("POST", "/event", port, body, JSON)))
            for name, (pid, port) in servers.items()
        }
    )
    table(f"{CONNECTIONS} kept-alive connections", seconds, BARE, cpu)
    judge(seconds, [Goal(EVENT, BARE, at_least=0.85), Goal(EVENT, OLD_STACK, at_least=1.7)])


def _current(directory: Path, pid: int, port: int) -> None:
    with connect(port) as connection:
        for number in range(TYPES - 1):
            body = json.dumps({"type": f"sensor {number}", "data": WEATHER}).encode()
            connection.sendall(request("POST", "/event", port, body, JSON))
            receive(connection)
        connection.sendall(request("GET", "/current", port))
        answer = receive(connection).decode()
    assert len(json.loads(answer)["current"]) == TYPES
    bare_port = free_port()
    with serving(bare(bare_port, directory, answer), bare_port) as bare_pid:
        seconds, cpu = measure_served(
            {
                BARE: Served(bare_pid, _load(bare_port, request("GET", "/current", bare_port))),
                CURRENT: Served(pid, _load(port, request("GET", "/current", port))),
            }
        )
    table(f"the same {len(answer)} bytes, {CONNECTIONS} connections", seconds, BARE, cpu)
    judge(seconds, [Goal(CURRENT, BARE, at_least=0.85)])


def _load(port: int, text: bytes) -> Callable[[], int]:
    """Keep every connection busy with the same request until enough were answered."""

    def work() -> int:
        with selectors.DefaultSelector() as selector:
            for _ in range(CONNECTIONS):
                connection = connect(port)
                connection.sendall(text)
                selector.register(connection, selectors.EVENT_READ)
            answered = 0
            while answered < REQUESTS:
                for key, _ in selector.select():
                    receive(key.fileobj)
                    key.fileobj.sendall(text)
                    answered += 1
            for key in list(selector.get_map().values()):
                key.fileobj.close()
        return answered

    return work
