"""What the service counts: events by what became of them, and the types that it has seen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from attrs import define

from telemetry_core import InvalidEventError, OutcomeUnknownError, Problem

MAX_TYPES: Final = 10_000


@define
class Tally:
    """How many events came in requests. Counted in the thread of the event loop only."""

    recorded: int = 0
    duplicates: int = 0
    refused: int = 0


class KnownTypes:
    """
    The types that were recorded, or are about to be, at most *maximum* of them.

    What is current is kept in memory and sent whole, so a client that makes up types would take
    more and more of both. May be used by several threads.
    """

    def __init__(self, known: Iterable[str], maximum: int) -> None:
        self._known = set(known)
        self._lock = threading.Lock()
        self._maximum = maximum

    def __len__(self) -> int:
        return len(self._known)

    def admit(self, type_: str) -> bool:
        """
        Take *type_* as known from now on, and return whether it was not before.

        Raises:
            InvalidEventError: It would be one type too many.
        """
        if type_ in self._known:
            return False
        with self._lock:
            if type_ in self._known:
                return False
            if len(self._known) >= self._maximum:
                message = f"there are {self._maximum} types already, and no more are taken"
                raise InvalidEventError([Problem("$.type", message)])
            self._known.add(type_)
            return True

    @contextmanager
    def admission(self) -> Iterator[Callable[[str], object]]:
        """Run a block that admits types with the function it gets, for good if it succeeds."""
        new: list[str] = []

        def check_type(type_: str) -> None:
            if self.admit(type_):
                new.append(type_)

        try:
            yield check_type
        except OutcomeUnknownError:
            raise
        except BaseException:
            self._known.difference_update(new)
            raise
