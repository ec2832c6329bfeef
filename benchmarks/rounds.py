"""Running variants in turn, so that a machine whose speed drifts favours none of them."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import frozen

ROUNDS = 7
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@frozen
class Goal:
    """What a ratio should be: `at_most` or `at_least` so many times the other variant."""

    variant: str
    other: str
    at_most: float | None = None
    at_least: float | None = None


@frozen
class Served:
    """Work that a server does, and the process that it is."""

    pid: int
    work: Callable[[], int]


def measure(variants: Mapping[str, Callable[[], int]], rounds: int = ROUNDS) -> dict[str, float]:
    """
    Return the median seconds per operation of each variant.

    A variant does its work once when it is called and returns how many operations that was. The
    order turns round after each round: A B C, C B A, ….
    """
    times: dict[str, list[float]] = {name: [] for name in variants}
    for work in variants.values():
        work()
    order = list(variants)
    for _ in range(rounds):
        for name in order:
            began = time.perf_counter()
            operations = variants[name]()
            times[name].append((time.perf_counter() - began) / operations)
        order.reverse()
    return {name: statistics.median(each) for name, each in times.items()}


def measure_served(
    variants: Mapping[str, Served], rounds: int = ROUNDS
) -> tuple[dict[str, float], dict[str, float]]:
    """
    Return the median seconds per operation of each variant, and its server's seconds of CPU.

    The client's share of the CPU is not in the latter, and neither is that of whoever else uses
    this machine.
    """
    used = dict.fromkeys(variants, 0.0)
    done = dict.fromkeys(variants, 0)

    def watched(name: str, served: Served) -> Callable[[], int]:
        def work() -> int:
            before = cpu_s(served.pid)
            operations = served.work()
            used[name] += cpu_s(served.pid) - before
            done[name] += operations
            return operations

        return work

    wall = measure({name: watched(name, served) for name, served in variants.items()}, rounds)
    return wall, {name: used[name] / done[name] for name in variants}


def cpu_s(pid: int) -> float:
    """Return how many seconds of CPU the process *pid* has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def table(
    title: str,
    seconds: Mapping[str, float],
    floor: str,
    cpu: Mapping[str, float] | None = None,
) -> None:
    """Print each variant as a multiple of *floor*; the time itself only gives the scale."""
    print(f"\n{title}")
    more = "" if cpu is None else f" {'CPU x floor':>12s}"
    print(f"  {'variant':44s} {'x floor':>8s} {'us/event':>10s}{more}")
    for name, each in seconds.items():
        more = "" if cpu is None else f" {cpu[name] / max(cpu[floor], 1e-12):12.2f}"
        print(f"  {name:44s} {each / seconds[floor]:8.2f} {each * 1e6:10.2f}{more}")


def judge(seconds: Mapping[str, float], goals: list[Goal]) -> None:
    """Print each goal, what was seen, and whether it was reached; not of what was not measured."""
    for goal in goals:
        if goal.variant not in seconds or goal.other not in seconds:
            continue
        if goal.at_most is not None:
            seen = seconds[goal.variant] / seconds[goal.other]
            verdict = "reached" if seen <= goal.at_most else "MISSED"
            wanted = f"{goal.variant} <= {goal.at_most:g} x {goal.other}"
        else:
            wanted_factor = goal.at_least or 1.0
            seen = seconds[goal.other] / seconds[goal.variant]
            verdict = "reached" if seen >= wanted_factor else "MISSED"
            wanted = f"{goal.variant} >= {wanted_factor:g} x as fast as {goal.other}"
        print(f"  goal {wanted}: {seen:.2f} {verdict}")
