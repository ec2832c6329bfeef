"""Rows as events and runs."""

from __future__ import annotations

import json
from typing import Any, Final

from telemetry_core import Event, Run, make_event

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
