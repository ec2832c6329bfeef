"""What the service counts: events by what became of them, and the types that it has seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import define

from telemetry_core import InvalidEventError, Problem

MAX_TYPES: Final = 10_000


@define
class Tally:
    """How many events came in requests. Counted in the thread of the event loop only."""

    recorded: int = 0
    duplicates: int = 0
    refused: int = 0


class KnownTypes:
    """
    The types that were recorded, at most *maximum* of them.

    What is current is kept in memory and sent whole, so a client that makes up types would take
    more and more of both.
    """

    def __init__(self, known: Iterable[str], maximum: int) -> None:
        self._known = set(known)
        self._maximum = maximum

    def __len__(self) -> int:
        return len(self._known)

    def check(self, type_: str) -> None:
        """
        Return if events of *type_* are taken.

        Raises:
            InvalidEventError: It would be one type too many.
        """
        if type_ not in self._known and len(self._known) >= self._maximum:
            message = f"there are {self._maximum} types already, and no more are taken"
            raise InvalidEventError([Problem("$.type", message)])

    def add(self, type_: str) -> None:
        """Remember that an event of *type_* was recorded."""
        self._known.add(type_)
