"""Running variants in turn, so that a machine whose speed drifts favours none of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

from attrs import frozen

ROUNDS = 7


@frozen
class Goal:
    """What a ratio should be: `at_most` or `at_least` so many times the other variant."""

    variant: str
    other: str
    at_most: float | None = None
    at_least: float | None = None


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


def table(title: str, seconds: Mapping[str, float], floor: str) -> None:
    """Print each variant as a multiple of *floor*; the time itself only gives the scale."""
    print(f"\n{title}")
    print(f"  {'variant':44s} {'x floor':>8s} {'us/event':>10s}")
    for name, each in seconds.items():
        print(f"  {name:44s} {each / seconds[floor]:8.2f} {each * 1e6:10.2f}")


def judge(seconds: Mapping[str, float], goals: list[Goal]) -> None:
    """Print each goal, what was seen, and whether it was reached."""
    for goal in goals:
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
