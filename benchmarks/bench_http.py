"""How close does `POST /event` come to a bare hypercorn app that answers a constant?"""

from __future__ import annotations

import json
import selectors
import socket
import sys
from pathlib import Path

from benchmarks.bench_record import WEATHER
from benchmarks.rounds import Goal, judge, measure, table
from benchmarks.servers import free_port, serving

CONNECTIONS = 8
REQUESTS = 4_000
BARE = "bare hypercorn app, constant answer"
EVENT = "POST /event"
CURRENT = "GET /current/weather"

BODY = json.dumps({"type": "weather", "data": WEATHER}).encode()

BARE_APP = """
import asyncio, sys
from hypercorn.asyncio import serve
from hypercorn.config import Config

ANSWER = sys.argv[2].encode()
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})

config = Config()
config.bind = ["127.0.0.1:" + sys.argv[1]]
config.accesslog = None
config.include_server_header = False
asyncio.run(serve(app, config))
"""


def run(directory: Path) -> None:
    """Print the table for single events over kept-alive connections."""
    answer = json.dumps(
        {"seq": 1, "ts": "2026-03-18T00:05:48.955Z", "type": "weather", "data": WEATHER, "meta": {}}
    )
    bare_port, port = free_port(), free_port()
    bare = [sys.executable, "-c", BARE_APP, str(bare_port), answer]
    ours = [
        *(sys.executable, "-c", "from telemetry_core.cli import main; main()", "run"),
        *("--port", str(port), "--site-dir", str(directory / "site")),
    ]
    with serving(bare, bare_port), serving(ours, port):
        seconds = measure(
            {
                BARE: _Load(bare_port, _request("POST", "/event", BODY, bare_port)),
                EVENT: _Load(port, _request("POST", "/event", BODY, port)),
                CURRENT: _Load(port, _request("GET", "/current/weather", b"", port)),
            }
        )
    table(f"{CONNECTIONS} kept-alive connections", seconds, BARE)
    judge(seconds, [Goal(EVENT, BARE, at_least=0.7)])


def _request(method: str, path: str, body: bytes, port: int) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class _Load:
    """Keeps every connection busy with the same request until enough were answered."""

    def __init__(self, port: int, request: bytes) -> None:
        self._port = port
        self._request = request

    def __call__(self) -> int:
        with selectors.DefaultSelector() as selector:
            for _ in range(CONNECTIONS):
                connection = socket.create_connection(("127.0.0.1", self._port))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(self._request)
                selector.register(connection, selectors.EVENT_READ)
            answered = 0
            while answered < REQUESTS:
                for key, _ in selector.select():
                    self._answer(key.fileobj)
                    answered += 1
            for key in list(selector.get_map().values()):
                key.fileobj.close()
        return answered

    def _answer(self, connection: socket.socket) -> None:
        answer = connection.recv(65536)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the server answered {answer[:200]!r}")
        head, _, body = answer.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(65536)
        connection.sendall(self._request)
