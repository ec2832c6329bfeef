"""What the tests of the kit give to a storage, and how they look at what it kept."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import orjson

from telemetry_core.clock import system_clock
from telemetry_core.events import CheckedDraft, Event, make_checked_draft
from telemetry_core.runs import Run
from telemetry_core.storage import Selection, Storage

TS = "2026-03-18T00:05:48.955Z"
STARTED_AT = "2026-03-18T00:00:00.000Z"
STOPPED_AT = "2026-03-18T06:00:00.000Z"


def make_draft(
    type: str = "weather",  # noqa: A002
    data: Any = None,
    *,
    ts: str = TS,
    meta: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    id: str | None = None,  # noqa: A002
    make_current: bool = True,
    store_permanently: bool = True,
    assumes_no_run: bool = False,
) -> CheckedDraft:
    """Return a draft as the recorder hands it to a storage: for the run *run_id*, or the site."""
    kept_meta = {**(meta or {}), **({} if run_id is None else {"run_id": run_id})}
    return make_checked_draft(
        ts,
        type,
        orjson.dumps(data),
        orjson.dumps(kept_meta),
        run_id,
        id,
        make_current,
        store_permanently,
        assumes_no_run,
    )


def make_run(
    run_id: str = "001",
    *,
    started_at: str = STARTED_AT,
    directory: str | None = None,
    **meta: Any,
) -> Run:
    """Return a run as the recorder hands it to a storage."""
    kept_meta = {**meta, "run_id": run_id}
    return Run(run_id=run_id, started_at=started_at, directory=directory, meta=kept_meta)


def stop(
    storage: Storage, run: Run, *, status: str = "completed", reason: str | None = None
) -> Run:
    """Finish *run* as the recorder does."""
    return storage.finish_run(run.stopped(STOPPED_AT, status=status, reason=reason))


def append(storage: Storage, *drafts: CheckedDraft) -> list[Event]:
    """Append *drafts* as one batch; there must be one event for each."""
    wanted = len(drafts)
    events = storage.append(drafts, system_clock())
    assert len(events) == wanted, f"{wanted} drafts were appended, {len(events)} events returned"
    return events


def append_numbers(storage: Storage, *numbers: int, run_id: str | None = None) -> list[Event]:
    """Append one event for each of *numbers*, as one batch."""
    return append(storage, *(make_draft(data=number, run_id=run_id) for number in numbers))


def stored(storage: Storage, **selection: Any) -> list[Event]:
    """Return what `read` yields for *selection*."""
    return list(storage.read(Selection(**selection)))


def data_of(storage: Storage, **selection: Any) -> list[Any]:
    """Return the data of what `read` yields for *selection*."""
    return [event.data for event in storage.read(Selection(**selection))]


def seqs_of(events: list[Event]) -> list[int]:
    """Return the seqs of *events*."""
    return [event.seq for event in events]


def current_data(storage: Storage) -> dict[str, Any]:
    """Return the data of the current event of each type."""
    return {type_: event.data for type_, event in storage.current().items()}


def is_ascending(seqs: list[int]) -> bool:
    """Whether *seqs* go up, none twice."""
    return all(first < second for first, second in itertools.pairwise(seqs))
