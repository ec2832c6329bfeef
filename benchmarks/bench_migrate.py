"""How much does a migration cost beside the straightforward way and beside copying the bytes?"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from attrs import field, frozen

import telemetry_core
from benchmarks.rounds import Goal, judge, measure, table
from telemetry_core import Draft
from telemetry_migrate import copy

RECORDS = int(os.environ.get("BENCH_MIGRATE_RECORDS", "150000"))
"""1000000 for the case of the goals, which takes some minutes."""

ROUNDS = 5
BATCH = 1000
COPIED_PER_SECOND = 200_000
DAYS = 30
COLLECTIONS = ("environment", "power", "weather")
FLOOR = "cat source > dest; fsync"
NAIVE = "read all with json, sort, write"
OURS = "telemetry_migrate.migrate"
READ = "history() of a site directory"
COPY = "copy, site directory to site directory"

_CHILD = "import sys; from benchmarks import bench_migrate as bench; bench.{}(*sys.argv[1:])"


def run(directory: Path) -> None:
    """Print the table of times, and the peak memory of each way at one size and at twice that."""
    costs = _Costs()
    for records in (RECORDS, 2 * RECORDS):
        source = directory / f"source-{records}"
        _make_archive(source, records)
        variants = {
            name: _in_child(costs, name, work, source, directory / "dest", records)
            for name, work in ((FLOOR, "cat"), (NAIVE, "straightforward"), (OURS, "ours"))
        }
        if records == RECORDS:
            seconds = measure(variants, ROUNDS)
            table(f"migration of {records} records, 3 collections, {DAYS} days", seconds, FLOOR)
            goals = [Goal(OURS, NAIVE, at_least=8.0), Goal(OURS, FLOOR, at_most=20.0)]
            judge(seconds, goals)
            cpu = {name: statistics.median(costs.cpu[name, records]) for name in variants}
            table(
                "the same in seconds of processors, which others at work disturb less", cpu, NAIVE
            )
        else:
            variants[OURS]()
    _print_peaks(costs.peaks)
    _copy(directory)


@frozen
class _Costs:
    """What the processes took, by variant and records: most memory, and CPU seconds a record."""

    peaks: dict[tuple[str, int], int] = field(factory=dict)
    cpu: dict[tuple[str, int], list[float]] = field(factory=dict)


def _print_peaks(peaks: dict[tuple[str, int], int]) -> None:
    print("\n  peak resident memory")
    for (name, records), peak in peaks.items():
        print(f"  {name:44s} {records:10d} records {peak / 2**20:8.0f} MiB")
    once, twice = peaks[OURS, RECORDS], peaks[OURS, 2 * RECORDS]
    for wanted, seen, goal in (
        ("peak <= 60 MB", twice / 1e6, 60.0),
        ("peak flat when the input doubles, <= 1.1 x", twice / once, 1.1),
    ):
        print(f"  goal {wanted}: {seen:.2f} {'reached' if seen <= goal else 'MISSED'}")


def _copy(directory: Path) -> None:
    """Print what copying a site costs beside reading it, which is the least it can cost."""
    site, replica = directory / "site", directory / "replica"
    events = RECORDS // 3 // BATCH * BATCH
    with telemetry_core.open(site) as recorder:
        for start in range(0, events, BATCH):
            recorder.record_many(
                [Draft("weather", {"temp_c": 14.38, "n": start + each}) for each in range(BATCH)]
            )

    def read() -> int:
        with telemetry_core.open(site, read_only=True) as recorder:
            return sum(1 for _ in recorder.history())

    cpu: list[float] = []

    def write() -> int:
        shutil.rmtree(replica, ignore_errors=True)
        began = time.process_time()
        written = copy(site, replica).written
        cpu.append((time.process_time() - began) / written)
        return written

    seconds = measure({READ: read, COPY: write}, ROUNDS)
    table(f"copy of {events} events", seconds, READ)
    rate = 1 / statistics.median(cpu)
    verdict = "reached" if rate >= COPIED_PER_SECOND else "MISSED"
    print(f"  goal {COPY} >= {COPIED_PER_SECOND:,}/s of one core: {rate:,.0f} {verdict}")
    print(f"  that is {1 / seconds[COPY]:,.0f}/s on the clock, with whatever else is at work here")


def _in_child(  # noqa: PLR0917
    costs: _Costs,
    name: str,
    work: str,
    source: Path,
    dest: Path,
    records: int,
) -> Callable[[], int]:
    """Return a variant that works in a process of its own, so that its peak memory is its own."""

    def once() -> int:
        shutil.rmtree(dest, ignore_errors=True)
        program = [sys.executable, "-c", _CHILD.format(work), str(source), str(dest)]
        child = subprocess.Popen(program, cwd=Path(__file__).parents[1])
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0, name
        if name != FLOOR:
            lines = sum(path.read_bytes().count(b"\n") for path in dest.glob("site_*.ndjson"))
            assert lines == records, f"{name}: {lines} lines of {records}"
        key = (name, records)
        costs.peaks[key] = max(costs.peaks.get(key, 0), usage.ru_maxrss * 1024)
        used = (usage.ru_utime + usage.ru_stime) / records
        costs.cpu.setdefault(key, []).append(used)
        return records

    return once


def cat(source: str, dest: str) -> None:
    """Copy the bytes and sync them: nothing that writes the records can be quicker."""
    Path(dest).mkdir()
    with (Path(dest) / "all").open("wb") as file:
        for path in sorted(Path(source).glob("*.json")):
            with path.open("rb") as one:
                shutil.copyfileobj(one, file, 1024 * 1024)
        file.flush()
        os.fsync(file.fileno())


def straightforward(source: str, dest: str) -> None:
    """Migrate as one would in an afternoon."""
    import json

    records = []
    for path in sorted(Path(source).glob("*.json")):
        with path.open() as file:
            records += [json.loads(line) for line in file]
    records.sort(key=lambda record: datetime.fromisoformat(record["date"]))
    days: dict[str, list[str]] = {}
    for seq, record in enumerate(records, 1):
        event = {
            "seq": seq,
            "ts": record["date"] + "Z",
            "type": record["type"],
            "data": record["data"],
            "meta": {"migrated_from": "PanFileDB", "original_id": record["_id"]},
        }
        days.setdefault(record["date"][:10].replace("-", ""), []).append(json.dumps(event) + "\n")
    Path(dest).mkdir()
    for day, lines in days.items():
        with (Path(dest) / f"site_{day}.ndjson").open("w") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())


def ours(source: str, dest: str) -> None:
    """Migrate as we do."""
    from telemetry_migrate import migrate

    report = migrate(source, dest)
    assert report.written == report.read


def _make_archive(source: Path, records: int) -> None:
    """Write *records* readings of a few fields, as PanDB wrote them, in order of time."""
    import json

    source.mkdir()
    count = records // len(COLLECTIONS)
    step = timedelta(days=DAYS) / count
    for number, name in enumerate(COLLECTIONS):
        with (source / f"{name}.json").open("w") as file:
            for index in range(count + (records - count * len(COLLECTIONS)) * (number == 0)):
                date = datetime(2026, 3, 1) + step * min(index, count - 1)  # noqa: DTZ001
                record = {
                    "_id": f"{number:08x}-{index:04x}-4000-8000-{index:012x}",
                    "data": {
                        "temp_c": 14 + index % 97 / 7,
                        "humidity_pct": index % 100,
                        "pressure_hpa": 1001.28,
                        "wind_kph": 0.0,
                        "safe": True,
                        "timestamp": date.isoformat(),
                    },
                    "type": name,
                    "date": date.isoformat(timespec="microseconds"),
                }
                file.write(json.dumps(record) + "\n")
