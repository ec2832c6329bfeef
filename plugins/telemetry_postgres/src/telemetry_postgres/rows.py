"""Events and runs as rows, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from attrs import frozen

from telemetry_core import CheckedDraft, Event, Run, instant_ns, make_event

EVENT: Final = "seq, ts, type, data, meta, id, make_current"
CURRENT: Final = "seq, ts, type, data, meta, id, store_permanently"
RUN: Final = (
    "run_id, started_at, stopped_at, status, reason, meta, directory, events, first_seq, last_seq"
)


def event_of(row: tuple[Any, ...]) -> Event:
    """Return the event in a *row* of `EVENT`."""
    seq, ts, type_, data, meta, id_, make_current = row
    return make_event(seq, ts, type_, data, meta, id_, make_current)


def current_of(row: tuple[Any, ...]) -> Event:
    """Return the event in a *row* of `CURRENT`."""
    seq, ts, type_, data, meta, id_, store_permanently = row
    return make_event(seq, ts, type_, data, meta, id_, store_permanently=store_permanently)


def run_of(row: tuple[Any, ...]) -> Run:
    """Return the run in a *row* of `RUN`."""
    run_id, started_at, stopped_at, status, reason, meta, directory, events, first, last = row
    return Run(
        run_id=run_id,
        started_at=started_at,
        stopped_at=stopped_at,
        status=status,
        reason=reason,
        meta=json.loads(meta),
        directory=directory,
        events=events,
        first_seq=first,
        last_seq=last,
    )


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

_STORE: Final = list(FIELDS).index("store")


@frozen
class Rows:
    """
    A batch as the statements take it: a tuple of `FIELDS` for each event.

    `place` counts the events of the batch from 1 on; with those that have their seqs it is the seq.
    `is_latest` stands on the last event of each type that asked to be current.
    """

    rows: list[tuple[Any, ...]]

    @classmethod
    def of(cls, numbered: Iterable[tuple[int, CheckedDraft | Event]]) -> Rows:
        """Return the rows of events with their places, which ascend."""
        batch = list(numbered)
        latest = {one.type: place for place, one in batch if one.make_current}
        return cls(
            [
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
                    latest.get(one.type) == place,
                )
                for place, one in batch
            ]
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def last_stored(self) -> int:
        """The place of the last event that goes into the history, 0 if none does."""
        return next((row[0] for row in reversed(self.rows) if row[_STORE]), 0)

    def parameters(self) -> dict[str, Any]:
        """Return the fields by their names: of a single event its values, else columns."""
        if len(self.rows) == 1:
            return dict(zip(FIELDS, self.rows[0], strict=True))
        return dict(zip(FIELDS, map(list, zip(*self.rows, strict=True)), strict=True))

    def latest(self) -> Rows:
        """Return only the rows that become current."""
        return Rows([row for row in self.rows if row[-1]])

    def copied(self, site_id: int, base: int, day: object) -> Iterator[tuple[Any, ...]]:
        """Yield what COPY takes of each event for the history, in the order of `COPIED`."""
        for place, ts, ts_ns, type_, run_id, id_, data, meta, make_current, store, _ in self.rows:
            if store:
                seq = base + place
                yield site_id, seq, ts_ns, day, make_current, type_, ts, run_id, id_, data, meta


COPIED: Final = "site_id, seq, ts_ns, day, make_current, type, ts, run_id, id, data, meta"


def _ns_of(ts: str) -> int | None:
    try:
        return instant_ns(ts)
    except ValueError:  # a site that is copied may hold what no recorder of ours wrote
        return None
