"""How close do batches and the history come to a bare hypercorn app that does not look at them?"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import orjson

from benchmarks.bench_record import ENVIRONMENT, WEATHER
from benchmarks.rounds import Goal, judge, measure, table
from benchmarks.servers import free_port, serving

BATCH = 1_000
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "50"))
HISTORY = int(os.environ.get("BENCH_HISTORY", "100000"))
APPEND = "bare hypercorn app, appends the body unread"
DROP = "bare hypercorn app, reads and drops"
FILE = "bare hypercorn app, streams a file"
POST = "POST /v1/events, 1000 events each"
CHUNKED = "POST /v1/events, one chunked upload"
NDJSON = "GET /v1/events as NDJSON"

BARE_APP = """
import asyncio, os, sys
from hypercorn.asyncio import serve
from hypercorn.config import Config

INTO = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
FROM = sys.argv[3]

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    keep = scope["path"] == "/append"
    while True:
        message = await receive()
        if keep:
            os.write(INTO, message.get("body", b""))
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/file":
        with open(FROM, "rb", buffering=0) as file:
            while piece := file.read(128 * 1024):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"{}"})

config = Config()
config.bind = ["127.0.0.1:" + sys.argv[1]]
config.accesslog = None
config.include_server_header = False
asyncio.run(serve(app, config))
"""


def run(directory: Path) -> None:
    """Print the tables for batches of small and wide events, and for reading them back."""
    for name, data in (("weather, 6 fields", WEATHER), ("environment, 20 fields", ENVIRONMENT)):
        line = json.dumps(
            {"type": "weather", "data": data, "ts": "2026-03-18T00:05:48.955Z"},
            separators=(",", ":"),
        )
        _ingest(directory / f"{len(data)}", f"{line}\n".encode(), name)
    _history(directory / "history")


def _ingest(directory: Path, line: bytes, name: str) -> None:
    with _Servers(directory) as servers:
        bare, ours = servers.bare, servers.ours
        body = line * BATCH
        seconds = measure(
            {
                APPEND: _batches(bare, "/append", body),
                POST: _batches(ours, "/v1/events", body),
            }
        )
        table(f"batches over one connection, {name}", seconds, APPEND)
        judge(seconds, [Goal(POST, APPEND, at_least=0.4)])
        seconds = measure(
            {
                DROP: _upload(bare, "/drop", body),
                CHUNKED: _upload(ours, "/v1/events", body),
            }
        )
        table(f"one upload of {REQUESTS * BATCH} events, {name}", seconds, DROP)
        judge(seconds, [Goal(CHUNKED, DROP, at_least=0.4)])


def _history(directory: Path) -> None:
    with _Servers(directory) as servers:
        line = orjson.dumps({"type": "weather", "data": WEATHER}) + b"\n"
        with _connection(servers.ours) as connection:
            for _ in range(HISTORY // BATCH):
                _post(connection, servers.ours, "/v1/events", line * BATCH)
        stored = next((directory / "site").glob("site_*.ndjson")).read_bytes()
        servers.file.write_bytes(stored)
        events = stored.count(b"\n")
        seconds = measure(
            {
                FILE: _download(servers.bare, "/file", len(stored), events),
                NDJSON: _download(servers.ours, "/v1/events?format=ndjson", len(stored), events),
            }
        )
        table(f"history of {events} events", seconds, FILE)
        judge(seconds, [Goal(NDJSON, FILE, at_least=0.5)])


class _Servers:
    """The bare server and ours, on a directory of their own."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.bare, self.ours = free_port(), free_port()
        self.file = directory / "file.ndjson"
        bare = [
            *(sys.executable, "-c", BARE_APP, str(self.bare)),
            *(str(directory / "appended"), str(self.file)),
        ]
        ours = [
            *(sys.executable, "-c", "from telemetry_core.cli import main; main()", "run"),
            *("--port", str(self.ours), "--site-dir", str(directory / "site")),
        ]
        self._stack = ExitStack()
        self._commands = ((bare, self.bare), (ours, self.ours))

    def __enter__(self) -> Self:
        for command, port in self._commands:
            self._stack.enter_context(serving(command, port))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _connection(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _head(port: int, path: str, length: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/x-ndjson\r\n{length}\r\n\r\n"
    ).encode()


def _post(connection: socket.socket, port: int, path: str, body: bytes) -> None:
    connection.sendall(_head(port, path, f"Content-Length: {len(body)}") + body)
    _check(_answer(connection), body)


def _batches(port: int, path: str, body: bytes) -> Callable[[], int]:
    def work() -> int:
        with _connection(port) as connection:
            for _ in range(REQUESTS):
                _post(connection, port, path, body)
        return REQUESTS * BATCH

    return work


def _upload(port: int, path: str, body: bytes) -> Callable[[], int]:
    chunk = b"%x\r\n%b\r\n" % (len(body), body)

    def work() -> int:
        with _connection(port) as connection:
            connection.sendall(_head(port, path, "Transfer-Encoding: chunked"))
            for _ in range(REQUESTS):
                connection.sendall(chunk)
            connection.sendall(b"0\r\n\r\n")
            _check(_answer(connection), body)
        return REQUESTS * BATCH

    return work


def _download(port: int, path: str, size: int, events: int) -> Callable[[], int]:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"

    def work() -> int:
        received = 0
        with _connection(port) as connection:
            connection.sendall(request.encode())
            while piece := connection.recv(256 * 1024):
                received += len(piece)
        assert received >= size, (received, size)
        return events

    return work


def _answer(connection: socket.socket) -> bytes:
    answer = b""
    while not answer.endswith((b"}", b"0\r\n\r\n")):
        piece = connection.recv(65536)
        assert piece, answer
        answer += piece
    return answer


def _check(answer: bytes, body: bytes) -> None:
    assert answer.startswith(b"HTTP/1.1 200"), answer[:300]
    assert b'"accepted"' not in answer or b'"rejected_total":0' in answer, (answer, body[:200])
