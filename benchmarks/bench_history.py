"""What does it cost to open, and to read back, a day of a million events?"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

import telemetry_core
from benchmarks.bench_record import WEATHER
from benchmarks.rounds import Goal, judge, measure, table
from telemetry_core.clock import NS

EVENTS = int(os.environ.get("BENCH_EVENTS", "1000000"))
TYPES = ("weather", "power", "status")
NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
HOUR = NOON + timedelta(hours=7)

OPEN_CPU_MS = 30

DECODE = "msgspec into a plain struct"
FULL = "history(), all of it"
ONE_TYPE = "history(types=…), a third of it"
ONE_HOUR = "history(since=…, until=…), 1 h of 24"
THOSE = "history() of just those lines"
LAST = "history(last=10)"


class Line(msgspec.Struct, gc=False):
    """What the peer makes of a line."""

    seq: int
    ts: str
    type: str
    data: Any
    meta: Any


def run(directory: Path) -> None:
    """Print the tables for reading, opening and memory."""
    site, hour = directory / "day", directory / "hour"
    _make_day(site, EVENTS)
    lines = next(site.glob("site_*.ndjson"))
    with telemetry_core.open(site, read_only=True) as day:
        in_hour = list(day.history(since=HOUR, until=HOUR + timedelta(hours=1)))
        _make_site_of(hour, in_hour)
        with telemetry_core.open(hour, read_only=True) as only_those:
            seconds = measure(
                {
                    DECODE: lambda: _decode(lines),
                    FULL: lambda: _exhaust(day.history()),
                    ONE_TYPE: lambda: _exhaust(day.history(types="power")),
                },
                rounds=5,
            )
            table(f"{EVENTS} events in one file, a second of it is", seconds, DECODE)
            judge(seconds, [Goal(FULL, DECODE, at_least=0.5)])
            whole = measure(
                {
                    THOSE: _once(lambda: _exhaust(only_those.history())),
                    ONE_HOUR: _once(
                        lambda: _exhaust(day.history(since=HOUR, until=HOUR + timedelta(hours=1)))
                    ),
                    FULL: _once(lambda: _exhaust(day.history())),
                    LAST: _once(lambda: _exhaust(day.history(last=10))),
                },
                rounds=5,
            )
    table("one hour out of 24, the whole call", whole, THOSE)
    judge(whole, [Goal(ONE_HOUR, THOSE, at_most=1.5), Goal(ONE_HOUR, FULL, at_least=10)])
    _open(site)
    _memory(site)


def _make_day(site: Path, events: int) -> None:
    now_ns = int(NOON.timestamp()) * NS
    step_ns = 24 * 3600 * NS // events
    with telemetry_core.open(
        site, timezone="UTC", durability="os", clock=lambda: now_ns
    ) as recorder:
        for start in range(0, events, 10):
            now_ns = int(NOON.timestamp()) * NS + start * step_ns
            recorder.record_many(
                [telemetry_core.Draft(TYPES[n % 3], WEATHER) for n in range(start, start + 10)]
            )


def _make_site_of(site: Path, events: list[telemetry_core.Event]) -> None:
    with telemetry_core.open(site, timezone="UTC") as recorder:
        recorder.storage.replicate(events)


def _decode(path: Path) -> int:
    decoder = msgspec.json.Decoder(Line)
    count = 0
    with path.open("rb") as file:
        for text in file:
            decoder.decode(text)
            count += 1
    return count


def _exhaust(events: Iterator[telemetry_core.Event]) -> int:
    count = 0
    for _ in events:
        count += 1
    return count


def _once(call: Callable[[], int]) -> Callable[[], int]:
    def one() -> int:
        call()
        return 1

    return one


def _open(site: Path) -> None:
    """Open the day as a process does that finds it there, and say what that took."""
    cpu: deque[float] = deque()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(5):
        began = time.process_time()
        recorder = telemetry_core.open(site, timezone="UTC")
        cpu.append(time.process_time() - began)
        recorder.close()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"\nopen a day of {EVENTS} events, with a checkpoint")
    median = sorted(cpu)[2] * 1000
    verdict = "reached" if median <= OPEN_CPU_MS else "MISSED"
    print(f"  CPU {median:.1f} ms; goal <= {OPEN_CPU_MS} ms: {verdict}")
    print(f"  resident memory grew by {grown / 1024:.1f} MB; goal <= 20 MB")


READER = """
import resource, sys, telemetry_core
with telemetry_core.open(sys.argv[1], read_only=True) as recorder:
    for number, event in enumerate(recorder.history()):
        if number == 1000:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def _memory(site: Path) -> None:
    """Read it all in a process of its own, and say how its memory grew on the way."""
    command = [sys.executable, "-c", READER, str(site)]
    grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    print(f"  a reader of all of it grew by {float(grown):.1f} MB after its first 1000 events")
