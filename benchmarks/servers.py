"""Servers to measure, each in a process of its own, and how to talk to them without a library."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_START_S = 30.0

BARE_APP = """
import asyncio, os, sys
from hypercorn.asyncio import serve
from hypercorn.config import Config

INTO = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
FROM, ANSWER = sys.argv[3], sys.argv[4].encode()
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]

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
    if scope["path"] == "/file":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with open(FROM, "rb", buffering=0) as file:
            while piece := file.read(128 * 1024):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"{}"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})

config = Config()
config.bind = ["127.0.0.1:" + sys.argv[1]]
config.accesslog = None
config.include_server_header = False
asyncio.run(serve(app, config))
"""
"""What a server costs that looks at nothing: the ceiling for everything that runs in hypercorn."""


@contextmanager
def serving(
    command: list[str], port: int, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run *command*, which listens on *port*, for as long as the block, which gets its pid."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )
    try:
        deadline = time.monotonic() + _START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def bare(port: int, directory: Path, answer: str = "{}") -> list[str]:
    """Return the command of a bare server; it may stream the file `file.ndjson`."""
    files = (str(directory / "appended"), str(directory / "file.ndjson"))
    return [sys.executable, "-c", BARE_APP, str(port), *files, answer]


def ours(port: int, site: Path, *options: str) -> list[str]:
    """Return the command of our service on the directory *site*."""
    telemetry = (sys.executable, "-c", "from telemetry_core.cli import main; main()", "run")
    return [*telemetry, "--port", str(port), "--site-dir", str(site), *options]


def connect(port: int) -> socket.socket:
    """Return a connection on which nothing waits to be sent."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def request(method: str, path: str, port: int, body: bytes = b"", media_type: str = "") -> bytes:
    """Return the text of a request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    if media_type:
        head += f"Content-Type: {media_type}\r\n"
    if method == "POST":
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def receive(connection: socket.socket) -> bytes:
    """Return the body of one answer that is a success."""
    answer = connection.recv(65536)
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head[9:12] in {b"200", b"204"}, answer[:300]
    _, found, after = head.lower().partition(b"content-length: ")
    length = int(after.partition(b"\r\n")[0]) if found else 0
    while len(body) < length:
        body += connection.recv(65536)
    return body
