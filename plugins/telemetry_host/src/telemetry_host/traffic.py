"""Traffic: what the network interfaces carried, and how fast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_LOOPBACK: Final = {"lo", "lo0"}


@dataclass(frozen=True)
class Traffic:
    """The counters of every interface but loopback, by its name, at one moment."""

    at_s: float
    counters: Mapping[str, Any]

    @classmethod
    def of(cls, counters: Mapping[str, Any], at_s: float) -> Traffic:
        """Return the traffic that psutil's *counters* by interface tell."""
        return cls(at_s, {name: each for name, each in counters.items() if name not in _LOOPBACK})

    def sum(self, counter: str) -> int:
        """Return the sum of one *counter* over the interfaces."""
        return sum(getattr(each, counter) for each in self.counters.values())

    def rate(self, counter: str, before: Traffic | None) -> float | None:
        """
        Return by how much *counter* grew per second since *before*, or `None` if nobody can say.

        Only interfaces that were there both times count: what one carried before it was plugged in
        was not carried since. A counter that went back began anew, and tells nothing.
        """
        if before is None or self.at_s <= before.at_s:
            return None
        growth = 0
        for name in self.counters.keys() & before.counters.keys():
            grown = getattr(self.counters[name], counter) - getattr(before.counters[name], counter)
            if grown < 0:
                return None
            growth += grown
        return round(growth / (self.at_s - before.at_s), 1)
