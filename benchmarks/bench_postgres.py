"""What does the PostgreSQL storage cost beside the same transaction and the same COPY by hand?"""

from __future__ import annotations

import os
import selectors
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import psycopg

import telemetry_core
from benchmarks.bench_record import WEATHER
from benchmarks.rounds import Goal, judge, measure, table
from benchmarks.servers import connect, free_port, receive, request, serving
from telemetry_core import Draft, Recorder
from telemetry_core.clock import format_ts, instant_ns
from telemetry_postgres.batch import COPIED, Batch
from telemetry_postgres.statements import Shape, append_statement
from tests.postgres.server import Server, find_bin

ROUNDS = 7
SINGLE = 300
WRITERS = 64
BATCH = 1000
FOLLOWED = 200
FOLLOWED_S = 0.010
CLIENTS = 32
REQUESTS = 1000


def run(_: Path) -> None:
    """Print the tables, if there is a server to be started."""
    bin_dir = find_bin()
    if bin_dir is None:
        print("\nno PostgreSQL here: nothing to compare")
        return
    # As it is used: each commit waits for the disk.
    server = Server(bin_dir, fsync="on")
    try:
        server.make().start()
        _single(server)
        _writers(server)
        _batch(server)
        _latency(server)
        _replicas(server)
    finally:
        server.remove()


def _url(server: Server, site: str) -> str:
    return f"{server.url()}?site={quote(site)}"


class ByHand:
    """The statements of the storage, written out for one connection, and nothing around them."""

    def __init__(self, server: Server, site: str) -> None:
        telemetry_core.open(_url(server, site)).close()  # makes the tables and the site
        self.link = psycopg.connect(server.url(), autocommit=True)
        row = self.link.execute(
            "SELECT site_id, day FROM telemetry.site WHERE name = %s", [site]
        ).fetchone()
        assert row is not None
        self.site_id, self.day = row
        shape = Shape(many=False, run=False, no_run=True, ids=False, latest=True)
        self._append = append_statement("telemetry", shape)
        self._seq = 0

    def append(self) -> None:
        """Append one event by the statement that the storage has for it."""
        now = time.time_ns()
        ts = format_ts(now)
        parameters = {
            "place": 1,
            "ts": ts,
            "ts_ns": instant_ns(ts),
            "type": "weather",
            "run_id": None,
            "id": None,
            "data": orjson.dumps(WEATHER).decode(),
            "meta": "{}",
            "make_current": True,
            "store": True,
            "is_latest": True,
            "site": self.site_id,
            "run": None,
            "n": 1,
            "last": 1,
        }
        assert self.link.execute(self._append, parameters).fetchone() is not None

    def copy_text(self, lines: list[tuple[bytes, bytes]]) -> None:
        """Copy *lines*, split where the seq belongs, in a transaction."""
        with self._copying() as copy:
            copy.write(b"".join(b"%b\t%d\t%b" % (head, self._next(), tail) for head, tail in lines))

    def copy_rows(self, rows: list[tuple[Any, ...]]) -> None:
        """Copy *rows*, with a seq in its place, in a transaction."""
        with self._copying() as copy:
            for site_id, _, *rest in rows:
                copy.write_row((site_id, self._next(), *rest))

    @contextmanager
    def _copying(self) -> Iterator[psycopg.Copy]:
        statement = f"COPY telemetry.event ({COPIED}) FROM STDIN"
        with self.link.transaction(), self.link.cursor().copy(statement) as copy:
            yield copy

    def _next(self) -> int:
        self._seq += 1
        return self._seq


def _single(server: Server) -> None:
    hand, ours = "one statement by hand, 1 connection", "record(), 1 thread"
    by_hand = ByHand(server, "hand")
    with telemetry_core.open(_url(server, "ours")) as recorder, by_hand.link:
        variants = {
            hand: _times(SINGLE, by_hand.append),
            ours: _times(SINGLE, lambda: recorder.record("weather", WEATHER)),
        }
        seconds = measure(variants, ROUNDS)
        table("one event a transaction", seconds, hand)
        _cpu(variants, hand)
        judge(seconds, [Goal(ours, hand, at_least=0.8)])


def _writers(server: Server) -> None:
    hand, ours = "one statement by hand, 16 connections", f"record(), {WRITERS} threads"
    with ExitStack() as stack:
        hands = [ByHand(server, "hands") for _ in range(16)]
        for one in hands:
            stack.enter_context(one.link)
        recorder = stack.enter_context(telemetry_core.open(_url(server, "threads")))
        variants = {
            hand: _together([_times(20, one.append) for one in hands]),
            ours: _together([_times(50, lambda: recorder.record("weather", WEATHER))] * WRITERS),
        }
        seconds = measure(variants, ROUNDS)
        table("many writers at one site", seconds, hand)
        _cpu(variants, hand)
        judge(seconds, [Goal(ours, hand, at_least=5)])


def _batch(server: Server) -> None:
    text, hand, ours = "COPY of ready text", "COPY of rows, write_row", f"record_many({BATCH})"
    by_hand = ByHand(server, "copied")
    with telemetry_core.open(_url(server, "batches")) as recorder, by_hand.link:
        batch = [Draft("weather", WEATHER) for _ in range(BATCH)]
        events = Batch.of((event.seq, event) for event in recorder.record_many(batch))
        whole = [line.split(b"\t", 2) for line in events.copied(by_hand.site_id, 0, by_hand.day)]
        lines = [(head, tail) for head, _, tail in whole]
        rows = [_row(by_hand, event) for _, event in events.numbered]
        variants = {
            text: lambda: by_hand.copy_text(lines) or BATCH,
            hand: lambda: by_hand.copy_rows(rows) or BATCH,
            ours: lambda: len(recorder.record_many(batch)),
        }
        seconds = measure(variants, ROUNDS)
        table(f"batches of {BATCH}", seconds, text)
        _cpu(variants, text)
        judge(seconds, [Goal(ours, hand, at_least=0.7), Goal(ours, text, at_least=0.7)])


def _row(by_hand: ByHand, event: Any) -> tuple[Any, ...]:
    """Return what COPY takes of *event*, in the order of `COPIED`."""
    return (
        by_hand.site_id,
        event.seq,
        instant_ns(event.ts),
        by_hand.day,
        event.make_current,
        event.type,
        event.ts,
        event.run_id,
        event.id,
        event.data_json.decode(),
        event.meta_json.decode(),
    )


def _latency(server: Server) -> None:
    """Print how long an event takes from the call that records it to a follower elsewhere."""
    with (
        telemetry_core.open(_url(server, "followed")) as recorder,
        telemetry_core.open(_url(server, "followed")) as other,
    ):
        arrived: dict[int, float] = {}
        following = threading.Thread(target=_follow, args=(other, arrived))
        recorder.record("begin", 0)
        following.start()
        while not arrived:
            time.sleep(0.01)
        called: dict[int, float] = {}
        for n in range(FOLLOWED):
            began = time.perf_counter()
            called[recorder.record("weather", n).seq] = began
            time.sleep(0.005)
        recorder.record("end", 0)
        following.join()
    waits = sorted(arrived[seq] - began for seq, began in called.items())
    p50, p99 = statistics.median(waits), waits[int(len(waits) * 0.99)]
    verdict = "reached" if p50 <= FOLLOWED_S else "MISSED"
    print(f"\nfrom record() to a follower on another connection, {FOLLOWED} events")
    goal = f"goal p50 <= {FOLLOWED_S * 1e3:g} ms"
    print(f"  {goal}: {p50 * 1e3:.1f} ms {verdict}; p99 {p99 * 1e3:.1f} ms")


def _follow(recorder: Recorder, arrived: dict[int, float]) -> None:
    for event in recorder.follow(after=0):
        arrived[event.seq] = time.perf_counter()
        if event.type == "end":
            return


def _times(count: int, call: Callable[[], object]) -> Callable[[], int]:
    def work() -> int:
        for _ in range(count):
            call()
        return count

    return work


def _together(works: list[Callable[[], int]]) -> Callable[[], int]:
    def work() -> int:
        done: list[int] = []
        threads = [threading.Thread(target=lambda one=one: done.append(one())) for one in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(done)

    return work


def _cpu(variants: dict[str, Callable[[], int]], floor: str) -> None:
    """Print the time of this process's own processor, without that of the server."""
    spent = {}
    for name, work in variants.items():
        rounds = []
        for _ in range(5):
            began = time.process_time()
            operations = work()
            rounds.append((time.process_time() - began) / operations)
        spent[name] = statistics.median(rounds)
    for name, each in spent.items():
        print(f"  cpu of the client: {name:40s} {each / spent[floor]:.2f} x")


def _replicas(server: Server) -> None:
    """Print how many more requests two services serve than one, on one database."""
    one, two = "POST /event, one service", "POST /event, two services"
    ports = [free_port() for _ in range(3)]
    with ExitStack() as stack:
        for port, site in zip(ports, ["alone", "both", "both"], strict=True):
            command = [
                *(sys.executable, "-c", "from telemetry_core.cli import main; main()", "run"),
                *("--port", str(port), "--storage", _url(server, site)),
            ]
            stack.enter_context(serving(command, port))
        seconds = measure({one: _load(ports[:1]), two: _load(ports[1:])}, ROUNDS)
    table(f"{CLIENTS} clients, {os.cpu_count()} cores for all of it", seconds, one)
    judge(seconds, [Goal(two, one, at_least=1.6)])


def _load(ports: list[int]) -> Callable[[], int]:
    """Keep connections to all of *ports* busy until enough requests were answered."""
    body = orjson.dumps({"type": "weather", "data": WEATHER})
    asked = [request("POST", "/event", port, body, "application/json") for port in ports]

    def work() -> int:
        with selectors.DefaultSelector() as selector:
            for number in range(CLIENTS):
                which = number % len(ports)
                connection = connect(ports[which])
                connection.sendall(asked[which])
                selector.register(connection, selectors.EVENT_READ, asked[which])
            answered = 0
            while answered < REQUESTS:
                for key, _ in selector.select():
                    receive(key.fileobj)
                    key.fileobj.sendall(key.data)
                    answered += 1
            for key in list(selector.get_map().values()):
                key.fileobj.close()
        return answered

    return work
