"""How close does `POST /event` come to a bare hypercorn app that answers a constant?"""

from __future__ import annotations

import json
import selectors
import socket
import sys
from collections.abc import Mapping
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
                BARE: Load({bare_port: request("POST", "/event", BODY, bare_port)}),
                EVENT: Load({port: request("POST", "/event", BODY, port)}),
                CURRENT: Load({port: request("GET", "/current/weather", b"", port)}),
            }
        )
    table(f"{CONNECTIONS} kept-alive connections", seconds, BARE)
    judge(seconds, [Goal(EVENT, BARE, at_least=0.7)])


def request(method: str, path: str, body: bytes, port: int) -> bytes:
    """Return a request as it goes over the wire."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class Load:
    """Keeps connections to one or several ports busy, with a request for each port."""

    def __init__(
        self,
        requests: Mapping[int, bytes],
        *,
        connections: int = CONNECTIONS,
        count: int = REQUESTS,
    ) -> None:
        self._requests = list(requests.items())
        self._connections = connections
        self._count = count

    def __call__(self) -> int:
        """Return how many were answered, once it is enough."""
        with selectors.DefaultSelector() as selector:
            for number in range(self._connections):
                port, asked = self._requests[number % len(self._requests)]
                connection = socket.create_connection(("127.0.0.1", port))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(asked)
                selector.register(connection, selectors.EVENT_READ, asked)
            answered = 0
            while answered < self._count:
                for key, _ in selector.select():
                    self._answer(key.fileobj, key.data)
                    answered += 1
            for key in list(selector.get_map().values()):
                key.fileobj.close()
        return answered

    @staticmethod
    def _answer(connection: socket.socket, asked: bytes) -> None:
        answer = connection.recv(65536)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the server answered {answer[:200]!r}")
        head, _, body = answer.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(65536)
        connection.sendall(asked)
