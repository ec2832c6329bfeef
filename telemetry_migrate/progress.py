"""How far a migration is, told to whoever wants to show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

READING: Final = "reading"
WRITING: Final = "writing"
VERIFYING: Final = "verifying"
COPYING: Final = "copying"


@frozen
class Progress:
    """How much of a phase is done: *done* of *total*, in bytes or records as `unit` says."""

    phase: str
    done: int
    total: int
    unit: str


ShowProgress = Callable[[Progress], None]


class Meter:
    """Counts what is done in one phase and tells it on."""

    def __init__(self, show: ShowProgress | None, phase: str, total: int, unit: str) -> None:
        self._show = show
        self._phase = phase
        self._total = total
        self._unit = unit
        self._done = 0
        self.add(0)

    def add(self, amount: int) -> None:
        """Count *amount* more."""
        self._done += amount
        if self._show is not None:
            self._show(Progress(self._phase, self._done, self._total, self._unit))
