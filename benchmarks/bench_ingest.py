"""How close do batches and the history come to a bare hypercorn app that does not look at them?"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson

from benchmarks.bench_record import ENVIRONMENT, WEATHER
from benchmarks.peers import INFLUX, VICTORIA, influx, line_protocol, victoria
from benchmarks.rounds import Goal, Served, judge, measure_served, table
from benchmarks.servers import bare, connect, free_port, ours, receive, request, serving
from telemetry_core.clock import format_ts

BATCH = 1_000
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "50"))
HISTORY = int(os.environ.get("BENCH_HISTORY", "100000"))
NDJSON_TYPE = "application/x-ndjson"
APPEND = "bare hypercorn app, appends the body unread"
DROP = "bare hypercorn app, reads and drops"
FILE = "bare hypercorn app, streams a file"
POST = "POST /v1/events, 1000 events each"
SYNCED = "POST /v1/events, --durability always"
CHUNKED = "POST /v1/events, one chunked upload"
NDJSON = "GET /v1/events as NDJSON"

_FIRST_MS = 1_773_792_348_955


def run(directory: Path) -> None:
    """Print the tables for batches of small and wide events, and for reading them back."""
    for name, data in (("weather, 6 fields", WEATHER), ("environment, 20 fields", ENVIRONMENT)):
        _ingest(directory / f"{len(data)}", data, name)
    _history(directory / "history")


def _ingest(directory: Path, data: dict[str, Any], name: str) -> None:
    directory.mkdir(parents=True)
    body = b"".join(_lines(data))
    with ExitStack() as stack:
        bare_port, port, synced_port = free_port(), free_port(), free_port()
        bare_pid = stack.enter_context(serving(bare(bare_port, directory), bare_port))
        pid = stack.enter_context(serving(ours(port, directory / "site"), port))
        always = ours(synced_port, directory / "synced", "--durability", "always")
        synced_pid = stack.enter_context(serving(always, synced_port))
        variants = {
            APPEND: Served(bare_pid, _batches(bare_port, "/append", [body])),
            POST: Served(pid, _batches(port, "/v1/events", [body])),
            SYNCED: Served(synced_pid, _batches(synced_port, "/v1/events", [body])),
        }
        variants |= _peers(stack, directory, data)
        seconds, cpu = measure_served(variants)
        table(f"batches over one connection, {name}", seconds, APPEND, cpu)
        judge(
            seconds,
            [
                Goal(POST, APPEND, at_least=0.4),
                Goal(POST, INFLUX, at_least=2.5),
                Goal(SYNCED, INFLUX, at_least=1.5),
                Goal(POST, VICTORIA, at_least=1.0),
            ],
        )
        seconds, cpu = measure_served(
            {
                DROP: Served(bare_pid, _upload(bare_port, "/drop", body)),
                CHUNKED: Served(pid, _upload(port, "/v1/events", body)),
            }
        )
        table(f"one upload of {REQUESTS * BATCH} events, {name}", seconds, DROP, cpu)
        judge(seconds, [Goal(CHUNKED, DROP, at_least=0.4)])


def _peers(stack: ExitStack, directory: Path, data: dict[str, Any]) -> dict[str, Served]:
    # Every request has points of its own, as every one of ours has events of its own.
    bodies = [line_protocol(data, _FIRST_MS + number * BATCH, BATCH) for number in range(REQUESTS)]
    found = {
        INFLUX: (stack.enter_context(influx(directory / "influx")), "/write?db=bench"),
        VICTORIA: (stack.enter_context(victoria(directory / "victoria")), "/write"),
    }
    return {
        name: Served(peer[0], _batches(peer[1], path, bodies))
        for name, (peer, path) in found.items()
        if peer is not None
    }


def _lines(data: dict[str, Any]) -> list[bytes]:
    return [
        orjson.dumps(
            {"type": "weather", "data": data, "ts": format_ts((_FIRST_MS + number) * 1_000_000)},
            option=orjson.OPT_APPEND_NEWLINE,
        )
        for number in range(BATCH)
    ]


def _history(directory: Path) -> None:
    directory.mkdir(parents=True)
    with ExitStack() as stack:
        bare_port, port = free_port(), free_port()
        bare_pid = stack.enter_context(serving(bare(bare_port, directory), bare_port))
        pid = stack.enter_context(serving(ours(port, directory / "site"), port))
        body = b"".join(_lines(WEATHER))
        with connect(port) as connection:
            for _ in range(HISTORY // BATCH):
                connection.sendall(request("POST", "/v1/events", port, body, NDJSON_TYPE))
                _check(receive(connection))
        stored = next((directory / "site").glob("site_*.ndjson")).read_bytes()
        (directory / "file.ndjson").write_bytes(stored)
        events = stored.count(b"\n")
        every = _download(port, "/v1/events?format=ndjson", len(stored), events)
        seconds, cpu = measure_served(
            {
                FILE: Served(bare_pid, _download(bare_port, "/file", len(stored), events)),
                NDJSON: Served(pid, every),
            }
        )
        table(f"history of {events} events, not for the first time", seconds, FILE, cpu)
        judge(seconds, [Goal(NDJSON, FILE, at_least=0.5)])


def _batches(port: int, path: str, bodies: list[bytes]) -> Callable[[], int]:
    requests = [request("POST", path, port, body, NDJSON_TYPE) for body in bodies]

    def work() -> int:
        with connect(port) as connection:
            for number in range(REQUESTS):
                connection.sendall(requests[number % len(requests)])
                _check(receive(connection))
        return REQUESTS * BATCH

    return work


def _upload(port: int, path: str, body: bytes) -> Callable[[], int]:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: {NDJSON_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()
    chunk = b"%x\r\n%b\r\n" % (len(body), body)

    def work() -> int:
        with connect(port) as connection:
            connection.sendall(head)
            for _ in range(REQUESTS):
                connection.sendall(chunk)
            connection.sendall(b"0\r\n\r\n")
            _check(receive(connection))
        return REQUESTS * BATCH

    return work


def _download(port: int, path: str, size: int, events: int) -> Callable[[], int]:
    text = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"

    def work() -> int:
        received = 0
        with connect(port) as connection:
            connection.sendall(text.encode())
            while piece := connection.recv(256 * 1024):
                received += len(piece)
        assert received >= size, (received, size)
        return events

    return work


def _check(answer: bytes) -> None:
    assert b'"accepted"' not in answer or json.loads(answer)["rejected_total"] == 0, answer
