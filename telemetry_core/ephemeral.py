"""Ephemeral values: current for a storage that knows only what is in its history."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from telemetry_core.events import copy_of
from telemetry_core.storage import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from telemetry_core.events import Event
    from telemetry_core.storage import Storage


class EphemeralValues:
    """The latest ephemeral event of each type. May be used by several threads."""

    def __init__(self) -> None:
        self._latest: dict[str, Event] = {}
        self._lock = threading.Lock()

    def remember(self, events: Iterable[Event]) -> None:
        """Take account of those of *events* that are current and not in the history."""
        # Two threads may come here in another order than their events were numbered in.
        with self._lock:
            for event in events:
                if event.store_permanently or not event.make_current:
                    continue
                known = self._latest.get(event.type)
                if known is None or known.seq < event.seq:
                    self._latest[event.type] = event

    def laid_over(self, storage: Storage) -> Snapshot:
        """Return what is current in *storage* and here, the latest of each type."""
        # Looked at before the storage, so that the answer has all that came before what it has.
        ephemeral = list(self._latest.values())
        snapshot = storage.current()
        if not ephemeral:
            return snapshot
        events = dict(snapshot.events)
        for event in ephemeral:
            if event.type not in events or events[event.type].seq < event.seq:
                events[event.type] = copy_of(event)
        latest = sorted(events.values(), key=lambda event: event.seq)
        as_of_seq = max(snapshot.as_of_seq, latest[-1].seq)
        return Snapshot(as_of_seq, {event.type: event for event in latest})
