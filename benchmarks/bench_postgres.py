"""What does the PostgreSQL storage cost beside the same transaction and the same COPY by hand?"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import psycopg

import telemetry_core
from benchmarks.bench_http import BODY, Load, request
from benchmarks.bench_record import WEATHER
from benchmarks.rounds import Goal, judge, measure, table
from benchmarks.servers import free_port, serving
from telemetry_core import Draft, Recorder
from telemetry_core.clock import format_ts, instant_ns
from telemetry_postgres.rows import COPIED, Rows
from telemetry_postgres.statements import Shape, append_statement
from tests.postgres.server import Server, find_bin

ROUNDS = 7
SINGLE = 300
WRITERS = 64
BATCH = 1000
FOLLOWED = 200
CLIENTS = 32
REQUESTS = 1000
SCHEMA = "telemetry"


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
            f"SELECT site_id, day FROM {SCHEMA}.site WHERE name = %s", [site]
        ).fetchone()
        assert row is not None
        self.site_id, self.day = row
        shape = Shape(many=False, run=False, no_run=True, ids=False, latest=True)
        self._append = append_statement(SCHEMA, shape)
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

    def copy(self, rows: list[tuple[Any, ...]]) -> None:
        """Copy *rows*, numbered behind those before, in a transaction."""
        with (
            self.link.transaction(),
            self.link.cursor().copy(f"COPY {SCHEMA}.event ({COPIED}) FROM STDIN") as copy,
        ):
            for row in rows:
                self._seq += 1
                copy.write_row((self.site_id, self._seq, *row[2:]))


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
    hand, ours = f"bare COPY of {BATCH} rows", f"record_many({BATCH})"
    by_hand = ByHand(server, "copied")
    with telemetry_core.open(_url(server, "batches")) as recorder, by_hand.link:
        batch = [Draft("weather", WEATHER) for _ in range(BATCH)]
        events = recorder.record_many(batch)
        numbered = Rows.of((event.seq, event) for event in events)
        rows = list(numbered.copied(by_hand.site_id, 0, by_hand.day))

        def copy() -> int:
            by_hand.copy(rows)
            return BATCH

        def record() -> int:
            return len(recorder.record_many(batch))

        variants = {hand: copy, ours: record}
        seconds = measure(variants, ROUNDS)
        table(f"batches of {BATCH}", seconds, hand)
        _cpu(variants, hand)
        judge(seconds, [Goal(ours, hand, at_least=0.7)])


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
    verdict = "reached" if p50 <= 0.010 else "MISSED"
    print(f"\nfrom record() to a follower on another connection, {FOLLOWED} events")
    print(f"  goal p50 <= 10 ms: {p50 * 1e3:.1f} ms {verdict}; p99 {p99 * 1e3:.1f} ms")


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
        asked = {port: request("POST", "/event", BODY, port) for port in ports}
        alone, both = ({port: asked[port] for port in part} for part in (ports[:1], ports[1:]))
        seconds = measure(
            {
                one: Load(alone, connections=CLIENTS, count=REQUESTS),
                two: Load(both, connections=CLIENTS, count=REQUESTS),
            },
            ROUNDS,
        )
    table(f"{CLIENTS} clients, {os.cpu_count()} cores for all of it", seconds, one)
    judge(seconds, [Goal(two, one, at_least=1.6)])
