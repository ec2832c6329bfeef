"""Do hundreds of clients of the live stream get every event, how late, and at what cost?"""

from __future__ import annotations

import json
import os
import re
import selectors
import socket
import statistics
import threading
import time
from pathlib import Path

from attrs import define, field

from benchmarks.rounds import cpu_s
from benchmarks.servers import connect, free_port, ours, receive, request, serving

CLIENTS = int(os.environ.get("BENCH_CLIENTS", "500"))
RATE = 20
SECONDS = int(os.environ.get("BENCH_SECONDS", "15"))
_LATE_S = 60.0
_MESSAGE = re.compile(rb'id: (\d+)\ndata: [^\n]*"sent_s":([0-9.]+)')


@define
class _Client:
    """One open stream, and the seqs and delays of what came over it."""

    connection: socket.socket
    rest: bytes = b""
    seqs: list[int] = field(factory=list)
    delays_s: list[float] = field(factory=list)

    def take(self) -> None:
        """Take in what arrived."""
        text = self.rest + self.connection.recv(256 * 1024)
        now = time.time()
        whole, separator, self.rest = text.rpartition(b"\n\n")
        for seq, sent_s in _MESSAGE.findall(whole + separator):
            self.seqs.append(int(seq))
            self.delays_s.append(now - float(sent_s))


def run(directory: Path) -> None:
    """Print the delay from sending an event to having it in hand, and the CPU of the server."""
    port = free_port()
    with serving(ours(port, directory / "site"), port) as pid:
        clients = [_follow(port) for _ in range(CLIENTS)]
        posted: list[int] = []
        posting = threading.Thread(target=_post, args=(port, posted))
        began, before = time.monotonic(), cpu_s(pid)
        posting.start()
        _take_all(clients, RATE * SECONDS)
        posting.join()
        seconds, used = time.monotonic() - began, cpu_s(pid) - before
    lost = sum(client.seqs != posted for client in clients)
    delays = [delay for client in clients for delay in client.delays_s]
    p50, p99 = statistics.median(delays), statistics.quantiles(delays, n=100)[98]
    print(f"\n{CLIENTS} clients of the stream, {RATE} events/s, {len(delays)} deliveries")
    print(
        f"  CPU of the server: {used / seconds:.0%} of one core, {used / len(delays) * 1e6:.1f} us"
    )
    print(f"  sent to received, client included: median {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms")
    verdict = "reached" if not lost else "MISSED"
    print(f"  goal no client loses an event or has one twice: {lost} clients did {verdict}")


def _follow(port: int) -> _Client:
    client = _Client(connect(port))
    client.connection.sendall(request("GET", "/v1/stream", port))
    while b"event: run" not in client.rest:  # what is recorded from now on comes
        client.rest += client.connection.recv(65536)
    client.rest = b""
    return client


def _post(port: int, posted: list[int]) -> None:
    with connect(port) as connection:
        begin = time.monotonic()
        for number in range(RATE * SECONDS):
            time.sleep(max(0.0, begin + number / RATE - time.monotonic()))
            body = json.dumps({"type": "tick", "data": {"sent_s": time.time()}}).encode()
            connection.sendall(request("POST", "/event", port, body, "application/json"))
            posted.append(json.loads(receive(connection))["seq"])


def _take_all(clients: list[_Client], events: int) -> None:
    deadline = time.monotonic() + SECONDS + _LATE_S
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.connection, selectors.EVENT_READ, client)
        while any(len(client.seqs) < events for client in clients):
            if time.monotonic() > deadline:
                return
            for key, _ in selector.select(1.0):
                key.data.take()
    for client in clients:
        client.connection.close()
