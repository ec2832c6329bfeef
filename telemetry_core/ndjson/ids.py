"""The ids of the latest events, so that a retry stores nothing twice."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from telemetry_core.storage import duplicate_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from telemetry_core.events import CheckedDraft, Event

MAX_EVENTS = 10_000
MAX_BYTES = 16 * 1024 * 1024


class Ids:
    """The latest 10,000 events that had an id, or the latest 16 MiB of them."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._events: OrderedDict[str, Event] = OrderedDict()
        self._bytes = 0
        for event in sorted(events, key=lambda event: event.seq):
            self.add(event)

    def add(self, event: Event) -> None:
        """Remember *event*, and forget the oldest when there are too many."""
        if event.id is None:
            return
        self._events[event.id] = event
        self._bytes += len(event.data_json)
        while len(self._events) > MAX_EVENTS or self._bytes > MAX_BYTES:
            _, oldest = self._events.popitem(last=False)
            self._bytes -= len(oldest.data_json)

    def known(self, draft: CheckedDraft) -> Event | None:
        """
        Return the event stored under the id of *draft*, marked as a duplicate, or `None`.

        Raises:
            IdConflictError: It is another event.
        """
        event = self._events.get(draft.id or "")
        return None if event is None else duplicate_of(draft, event)
