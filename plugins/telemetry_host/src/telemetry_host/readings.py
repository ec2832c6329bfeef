"""What is read of the machine, and under which names."""

from __future__ import annotations

import logging
import math
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import psutil

from telemetry_host.traffic import Traffic

log = logging.getLogger(__name__)

_FIRST_CPU_S: Final = 0.1


class ReadingError(Exception):
    """Something of the machine could not be read; everything else was."""


class Host:
    """
    Reads this machine, one reading after the other from one thread.

    What can only be said over a time (cpu, rates) is said of the time since the reading before.
    *machine* has the functions of psutil, *clock* gives seconds that only grow.
    """

    def __init__(self, machine: Any = psutil, clock: Callable[[], float] = time.monotonic) -> None:
        self._machine = machine
        self._clock = clock
        self._has_read_cpu = False
        self._traffic: Traffic | None = None
        self._unreadable: set[str] = set()

    def read(self) -> Iterator[tuple[str, Any]]:
        """
        Yield the type and data of each event of one reading; what is not there has no event.

        Raises:
            ReadingError: Something failed. It comes last, so that it costs nothing else.
        """
        failures = []
        for type_, take in (
            ("host.cpu", self._cpu),
            ("host.memory", self._memory),
            ("host.disk", self._disk),
            ("host.network", self._network),
            ("host.temperature", self._temperature),
        ):
            try:
                data = take()
            except Exception as error:  # noqa: BLE001  # a driver may fail in any way
                failures.append(f"{type_}: {type(error).__name__}: {error}")
                continue
            if data is not None:
                yield type_, data
        if failures:
            raise ReadingError("; ".join(failures))

    def _cpu(self) -> dict[str, Any]:
        # The first time there is no reading before, so it looks for a moment.
        percent = self._machine.cpu_percent(None if self._has_read_cpu else _FIRST_CPU_S)
        self._has_read_cpu = True
        load_1min, load_5min, load_15min = self._machine.getloadavg()
        return {
            "used_percent": percent,
            "load_1min": round(load_1min, 2),
            "load_5min": round(load_5min, 2),
            "load_15min": round(load_15min, 2),
            "count": self._machine.cpu_count() or 1,
        }

    def _memory(self) -> dict[str, Any]:
        ram, swap = self._machine.virtual_memory(), self._machine.swap_memory()
        return {
            "total_bytes": ram.total,
            "available_bytes": ram.available,
            "used_percent": ram.percent,
            "swap_total_bytes": swap.total,
            "swap_used_bytes": swap.used,
        }

    def _disk(self) -> dict[str, Any]:
        return dict(self._disks())

    def _disks(self) -> Iterator[tuple[str, dict[str, Any]]]:
        seen = set()
        mounted = [partition.mountpoint for partition in self._machine.disk_partitions()]
        # The root first: in a container it is no disk of its own, yet what people look for.
        for path in ("/", *mounted):
            try:
                facts = Path(path).stat()
                # One disk may be mounted in several places, and in a container over single files.
                if facts.st_dev in seen or not stat.S_ISDIR(facts.st_mode):
                    continue
                seen.add(facts.st_dev)
                usage = self._machine.disk_usage(path)
            except OSError as error:
                if path not in self._unreadable:
                    log.warning("the disk at %r cannot be read: %s", path, error)
                self._unreadable.add(path)
                continue
            yield (
                as_text(path),
                {
                    "total_bytes": usage.total,
                    "free_bytes": usage.free,
                    "used_percent": usage.percent,
                },
            )

    def _network(self) -> dict[str, Any]:
        now = Traffic.of(self._machine.net_io_counters(pernic=True), self._clock())
        before, self._traffic = self._traffic, now
        return {
            "received_bytes": now.sum("bytes_recv"),
            "sent_bytes": now.sum("bytes_sent"),
            "received_packets": now.sum("packets_recv"),
            "sent_packets": now.sum("packets_sent"),
            "received_bytes_per_s": now.rate("bytes_recv", before),
            "sent_bytes_per_s": now.rate("bytes_sent", before),
        }

    def _temperature(self) -> dict[str, Any] | None:
        read = getattr(self._machine, "sensors_temperatures", None)  # not on every system
        celsius = {} if read is None else by_sensor(read())
        return {"max_celsius": max(celsius.values()), "celsius": celsius} if celsius else None


def as_text(path: str) -> str:
    """Return *path* as the text that a key in JSON must be; a path on disk may be any bytes."""
    return os.fsencode(path).decode("utf-8", "replace")


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
