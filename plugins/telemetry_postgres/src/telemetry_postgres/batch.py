"""A batch as the statements and COPY take it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from attrs import frozen

from telemetry_core import CheckedDraft, Event, instant_ns

FIELDS: Final = {
    "place": "bigint",
    "ts": "text",
    "ts_ns": "bigint",
    "type": "text",
    "run_id": "text",
    "id": "text",
    "data": "text",
    "meta": "text",
    "make_current": "boolean",
    "store": "boolean",
    "is_latest": "boolean",
}
"""What the statements take of an event, with the types of the server."""

COPIED: Final = "site_id, seq, ts_ns, day, make_current, type, ts, run_id, id, data, meta"
"""What the history has of an event, in the order of its lines in `Batch.copied`."""

_NULL: Final = rb"\N"
_SPECIAL: Final = re.compile(rb"[\\\t\n\r]")
_special_in: Final = _SPECIAL.search
_ESCAPES: Final = {b"\\": rb"\\", b"\t": rb"\t", b"\n": rb"\n", b"\r": rb"\r"}


@frozen
class Batch:
    """
    Events in their order, each with its place: from 1 on, or its seq where it has one already.

    `latest` are the places of those that become current: the last of each type that asked to.
    """

    numbered: Sequence[tuple[int, CheckedDraft | Event]]
    latest: frozenset[int]

    @classmethod
    def of(cls, numbered: Iterable[tuple[int, CheckedDraft | Event]]) -> Batch:
        """Return the batch of events with their places, which ascend."""
        batch = list(numbered)
        latest = {one.type: place for place, one in batch if one.make_current}
        return cls(batch, frozenset(latest.values()))

    def __len__(self) -> int:
        return len(self.numbered)

    @property
    def last_stored(self) -> int:
        """The place of the last event that goes into the history, 0 if none does."""
        stored = (place for place, one in reversed(self.numbered) if one.store_permanently)
        return next(stored, 0)

    def only_latest(self) -> Batch:
        """Return the batch of those that become current."""
        return Batch([one for one in self.numbered if one[0] in self.latest], self.latest)

    def fields(self) -> dict[str, Any]:
        """Return `FIELDS`: of a single event its values, else a column of each."""
        rows = [
            (
                place,
                one.ts,
                _ns_of(one.ts),
                one.type,
                one.run_id,
                one.id,
                one.data_json.decode(),
                one.meta_json.decode(),
                one.make_current,
                one.store_permanently,
                place in self.latest,
            )
            for place, one in self.numbered
        ]
        if len(rows) == 1:
            return dict(zip(FIELDS, rows[0], strict=True))
        return dict(zip(FIELDS, map(list, zip(*rows, strict=True)), strict=True))

    def ids(self) -> dict[str, list[Any]]:
        """Return the ids of the events that are stored, and their places."""
        named = [
            (one.id, place) for place, one in self.numbered if one.id and one.store_permanently
        ]
        return {"ids": [id_ for id_, _ in named], "places": [place for _, place in named]}

    def counted(self) -> dict[str, int | None]:
        """Return how many events the run gets, and the places of the first and the last."""
        places = [
            place
            for place, one in self.numbered
            if one.run_id is not None and one.store_permanently
        ]
        first, last = (places[0], places[-1]) if places else (None, None)
        return {"events": len(places), "first": first, "last_of_run": last}

    def copied(self, site_id: int, base: int, day: object) -> Iterator[bytes]:
        """Yield the lines that COPY takes, those of the events that are stored."""
        head, days = b"%d\t" % site_id, f"{day}".encode()
        for place, one in self.numbered:
            if one.store_permanently:
                ts_ns, ts = _times(one.ts)
                yield b"%b%d\t%b\t%b\t%b\t%b\t%b\t%b\t%b\t%b\t%b\n" % (
                    head,
                    base + place,
                    ts_ns,
                    days,
                    b"t" if one.make_current else b"f",
                    _text(one.type),
                    ts,
                    _NULL if one.run_id is None else _text(one.run_id),
                    _NULL if one.id is None else _escaped(one.id.encode()),
                    _escaped(one.data_json),
                    _escaped(one.meta_json),
                )


@lru_cache(4096)
def _times(ts: str) -> tuple[bytes, bytes]:
    """Return *ts* as nanoseconds and as it is."""
    ns = _ns_of(ts)
    return _NULL if ns is None else b"%d" % ns, _text(ts)


@lru_cache(4096)
def _text(text: str) -> bytes:
    return _escaped(text.encode())


def _escaped(text: bytes) -> bytes:
    if _special_in(text) is None:
        return text
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], text)


@lru_cache(4096)
def _ns_of(ts: str) -> int | None:
    try:
        return instant_ns(ts)
    except ValueError:  # a site that is copied may hold what no recorder of ours wrote
        return None
