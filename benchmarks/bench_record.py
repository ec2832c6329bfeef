"""How much does recording one event cost beside the bare system call, SQLite and a logger?"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import structlog

import telemetry_core
from benchmarks.rounds import Goal, judge, measure, table

EVENTS = 20_000
SYNCED = 2_000
FLOOR = "orjson + os.write, bare loop"
RECORD = "record()"
SQLITE = "sqlite3, WAL, one commit an event"
STRUCTLOG = "structlog + orjson to a file"
MANY = "record_many(100)"

WEATHER = {
    "temp_c": 14.38,
    "humidity_pct": 31.0,
    "pressure_hpa": 1001.28,
    "wind_kph": 0.0,
    "wind_dir": 3.0,
    "safe": True,
}
ENVIRONMENT = {f"sensor_{number:02d}_temperature_c": 20.0 + number / 7 for number in range(20)}


def run(directory: Path) -> None:
    """Print the tables for a small and a wide event."""
    for name, data in (("weather, 6 fields", WEATHER), ("environment, 20 fields", ENVIRONMENT)):
        with telemetry_core.open(directory / f"site-{len(data)}") as recorder:
            variants = {
                FLOOR: _floor(directory / "floor.ndjson", data),
                RECORD: _record(recorder, data),
                MANY: _record_many(recorder, data),
                SQLITE: _sqlite(directory / f"peer-{len(data)}.sqlite", data),
                STRUCTLOG: _structlog(directory / "peer.log", data),
            }
            seconds = measure(variants)
        table(f"one thread, {name}", seconds, FLOOR)
        judge(
            seconds,
            [
                Goal(RECORD, FLOOR, at_most=2.2),
                Goal(RECORD, SQLITE, at_least=3.5),
                Goal(RECORD, STRUCTLOG, at_least=1.5),
                Goal(MANY, FLOOR, at_most=1.2),
            ],
        )
    _threads(directory)
    _synced(directory)


def _threads(directory: Path) -> None:
    floor, ours = "floor, 4 threads, no lock", "record(), 4 threads"
    with telemetry_core.open(directory / "site-threads") as recorder:
        seconds = measure(
            {
                floor: _in_threads(_floor(directory / "threads.ndjson", WEATHER, EVENTS // 4)),
                ours: _in_threads(_record(recorder, WEATHER, EVENTS // 4)),
            }
        )
    table("four threads, weather", seconds, floor)
    judge(seconds, [Goal(ours, floor, at_most=3.0)])


def _synced(directory: Path) -> None:
    floor, ours = "write + fdatasync, 1 thread", "record(), always, 8 threads"
    peer = "sqlite3, WAL, synchronous=FULL, 8 threads"
    with telemetry_core.open(directory / "site-synced", durability="always") as recorder:
        seconds = measure(
            {
                floor: _floor_synced(directory / "synced.ndjson"),
                ours: _in_threads(_record(recorder, WEATHER, SYNCED // 8), 8),
                peer: _in_threads(_sqlite_full(directory / "full.sqlite"), 8),
            }
        )
    table("every event on the disk before the call returns", seconds, floor)
    judge(seconds, [Goal(ours, peer, at_least=2.5)])


def _in_threads(work: Callable[[], int], threads: int = 4) -> Callable[[], int]:
    def all_of_them() -> int:
        done: list[int] = []
        each = [threading.Thread(target=lambda: done.append(work())) for _ in range(threads)]
        for thread in each:
            thread.start()
        for thread in each:
            thread.join()
        return sum(done)

    return all_of_them


def _floor(path: Path, data: Any, events: int = EVENTS) -> Callable[[], int]:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)

    def work() -> int:
        for seq in range(events):
            line = {
                "seq": seq,
                "ts": "2026-03-18T00:05:48.955Z",
                "type": "weather",
                "data": data,
                "meta": {},
            }
            os.write(fd, orjson.dumps(line) + b"\n")
        return events

    return work


def _record(
    recorder: telemetry_core.Recorder, data: Any, events: int = EVENTS
) -> Callable[[], int]:
    def work() -> int:
        for _ in range(events):
            recorder.record("weather", data)
        return events

    return work


def _record_many(recorder: telemetry_core.Recorder, data: Any) -> Callable[[], int]:
    draft = telemetry_core.Draft("weather", data)

    def work() -> int:
        for _ in range(EVENTS // 100):
            recorder.record_many([draft] * 100)
        return EVENTS

    return work


def _sqlite(path: Path, data: Any) -> Callable[[], int]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, ts, type, data, meta)")

    def work() -> int:
        for _ in range(EVENTS):
            connection.execute(
                "INSERT INTO events (ts, type, data, meta) VALUES (?, ?, ?, ?)",
                ("2026-03-18T00:05:48.955Z", "weather", orjson.dumps(data), b"{}"),
            )
        return EVENTS

    return work


def _floor_synced(path: Path) -> Callable[[], int]:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    line = orjson.dumps({"seq": 1, "type": "weather", "data": WEATHER, "meta": {}}) + b"\n"

    def work() -> int:
        for _ in range(SYNCED // 8):
            os.write(fd, line)
            os.fdatasync(fd)
        return SYNCED // 8

    return work


def _sqlite_full(path: Path) -> Callable[[], int]:
    """Commit each event; a connection for each thread, as the documentation of sqlite3 wants."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, ts, type, data, meta)")

    def work() -> int:
        connection = sqlite3.connect(path, isolation_level=None, timeout=60)
        connection.execute("PRAGMA synchronous=FULL")
        for _ in range(SYNCED // 8):
            connection.execute(
                "INSERT INTO events (ts, type, data, meta) VALUES (?, ?, ?, ?)",
                ("2026-03-18T00:05:48.955Z", "weather", orjson.dumps(WEATHER), b"{}"),
            )
        connection.close()
        return SYNCED // 8

    return work


def _structlog(path: Path, data: Any) -> Callable[[], int]:
    """Configure structlog for speed, as its documentation on performance says."""
    logger = structlog.wrap_logger(
        structlog.BytesLogger(path.open("ab")),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        cache_logger_on_first_use=True,
    ).bind()

    def work() -> int:
        for seq in range(EVENTS):
            logger.info("weather", seq=seq, data=data)
        return EVENTS

    return work
