"""Following a storage: what is there and what comes, without a hole, made of `read` and `wait`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from telemetry_core.errors import LaggedError, StorageClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from telemetry_core.events import Event
    from telemetry_core.storage import Selection, Storage

_POLL_S = 1.0


def follow(
    storage: Storage, selection: Selection, max_lag: int | None, is_over: Callable[[], bool]
) -> Iterator[Event]:
    """
    Yield the events that *selection* asks for as they come, until *is_over* or it is closed.

    Raises:
        LaggedError: What was yet to be seen was removed, or it is more than *max_lag* seqs.
    """
    cursor = selection.after
    while not is_over():
        try:
            # What was there before the read is what the next read need not look at again, whether
            # or not the selection let it through.
            seen = storage.wait(cursor, _POLL_S)
            if seen <= cursor:
                continue
            if max_lag is not None and seen - cursor > max_lag:
                raise LaggedError(seen)
            asked = cursor
            for event in storage.read(evolve(selection, after=cursor)):
                cursor = event.seq
                yield event
            # Looked at behind the read, so that nothing can be removed in between unseen.
            removed = storage.removed_through()
            if 0 < asked < removed:
                raise LaggedError(max(removed, cursor))
        except StorageClosedError:
            return
        cursor = max(cursor, seen)
