"""What is read of the machine, and under which names."""

from __future__ import annotations

import logging
import math
import os
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import psutil

log = logging.getLogger(__name__)

_FIRST_CPU_S: Final = 0.1
_LOOPBACK: Final = {"lo", "lo0"}


class Host:
    """
    Reads this machine, one reading after the other from one thread.

    What can only be said over a time (cpu, rates) is said of the time since the reading before.
    """

    def __init__(self) -> None:
        self._has_read_cpu = False
        self._network: tuple[float, int, int] | None = None
        self._unreadable: set[str] = set()

    def read(self) -> Iterator[tuple[str, Any]]:
        """Yield the type and data of each event of one reading."""
        yield "host.cpu", self._cpu()
        yield "host.memory", memory()
        yield "host.disk", self._disk()
        yield "host.network", self._network_traffic()
        sensors = temperatures()
        if sensors:
            yield "host.temperature", {"max_celsius": max(sensors.values()), "celsius": sensors}

    def _cpu(self) -> dict[str, Any]:
        # The first time there is no reading before, so it looks for a moment.
        percent = psutil.cpu_percent(None if self._has_read_cpu else _FIRST_CPU_S)
        self._has_read_cpu = True
        load_1min, load_5min, load_15min = os.getloadavg()
        return {
            "used_percent": percent,
            "load_1min": round(load_1min, 2),
            "load_5min": round(load_5min, 2),
            "load_15min": round(load_15min, 2),
            "count": psutil.cpu_count() or 1,
        }

    def _disk(self) -> dict[str, Any]:
        """Return the room on each mounted disk, by the path where it is mounted."""
        return dict(self._disks())

    def _disks(self) -> Iterator[tuple[str, dict[str, Any]]]:
        seen = set()
        # The root first: in a container it is no disk of its own, yet what people look for.
        for path in ("/", *(partition.mountpoint for partition in psutil.disk_partitions())):
            try:
                facts = Path(path).stat()
                # One disk may be mounted in several places, and in a container over single files.
                if facts.st_dev in seen or not stat.S_ISDIR(facts.st_mode):
                    continue
                seen.add(facts.st_dev)
                usage = psutil.disk_usage(path)
            except OSError as error:
                if path not in self._unreadable:
                    log.warning("the disk at %r cannot be read: %s", path, error)
                self._unreadable.add(path)
                continue
            yield (
                path,
                {
                    "total_bytes": usage.total,
                    "free_bytes": usage.free,
                    "used_percent": usage.percent,
                },
            )

    def _network_traffic(self) -> dict[str, Any]:
        """Return what all interfaces but loopback carried, in sum and in the time since."""
        traffic = [
            counters
            for name, counters in psutil.net_io_counters(pernic=True).items()
            if name not in _LOOPBACK
        ]
        now = time.monotonic()
        received = sum(one.bytes_recv for one in traffic)
        sent = sum(one.bytes_sent for one in traffic)
        before, self._network = self._network, (now, received, sent)
        return {
            "received_bytes": received,
            "sent_bytes": sent,
            "received_packets": sum(one.packets_recv for one in traffic),
            "sent_packets": sum(one.packets_sent for one in traffic),
            "received_bytes_per_s": rate(received, before and before[1], now, before and before[0]),
            "sent_bytes_per_s": rate(sent, before and before[2], now, before and before[0]),
        }


def rate(count: int, count_before: int | None, at_s: float, before_s: float | None) -> float | None:
    """Return the growth per second, or `None` where there is none to tell: counters went back."""
    if count_before is None or before_s is None or count < count_before or at_s <= before_s:
        return None
    return round((count - count_before) / (at_s - before_s), 1)


def memory() -> dict[str, Any]:
    """Return how much memory there is and how much of it could be had."""
    ram, swap = psutil.virtual_memory(), psutil.swap_memory()
    return {
        "total_bytes": ram.total,
        "available_bytes": ram.available,
        "used_percent": ram.percent,
        "swap_total_bytes": swap.total,
        "swap_used_bytes": swap.used,
    }


def temperatures() -> dict[str, float]:
    """Return what each sensor says in °C, by `chip/label`; empty where there is no sensor."""
    read = getattr(psutil, "sensors_temperatures", None)
    return by_sensor(read()) if read is not None else {}


def by_sensor(chips: Mapping[str, list[Any]]) -> dict[str, float]:
    """Return the readings of *chips* by `chip/label`; several of one label are numbered."""
    found: dict[str, float] = {}
    for chip, sensors in chips.items():
        for sensor in sensors:
            if sensor.current is None or not math.isfinite(sensor.current):
                continue
            plain = f"{chip}/{sensor.label}" if sensor.label else chip
            name, number = plain, 1
            while name in found:
                number += 1
                name = f"{plain} {number}"
            found[name] = sensor.current
    return found
