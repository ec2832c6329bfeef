"""What the service counts: events by what became of them, and the types that it has seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from attrs import define

from telemetry_core import InvalidEventError, Problem
from telemetry_core.intake import Rejected, Report

MAX_TYPES: Final = 10_000


class _Typed(msgspec.Struct):
    """As much of an event as says of what type it is."""

    type: str


_read_type = msgspec.json.Decoder(_Typed).decode


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

    def record_known(
        self, texts: Sequence[bytes], record: Callable[[Sequence[bytes]], Report]
    ) -> Report:
        """
        Return the report of *record* on *texts*, without those that would be of a type too many.

        A block that comes before there are as many as may be may bring some more.
        """
        refused: list[Rejected] = []
        places: Sequence[int] = range(len(texts))
        if len(self._known) >= self._maximum:
            refused = [one for one in map(self._refusal, places, texts) if one is not None]
            left_out = {one.index for one in refused}
            places = [place for place in places if place not in left_out]
            texts = [texts[place] for place in places]
        report = record(texts)
        self._known.update(event.type for event in report.events)
        if not refused:
            return report
        moved = [Rejected(places[one.index], one.detail) for one in report.rejected]
        return Report(report.events, tuple(sorted([*moved, *refused], key=lambda one: one.index)))

    def _refusal(self, index: int, text: bytes) -> Rejected | None:
        try:
            self.check(_read_type(text).type)
        except InvalidEventError as error:
            return Rejected(index, str(error))
        except msgspec.MsgspecError:
            pass  # whoever records it says better what is wrong with it
        return None

    def add(self, type_: str) -> None:
        """Remember that an event of *type_* was recorded."""
        self._known.add(type_)
