"""Any registered storage as a source: its events, to be recorded once more under new numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from telemetry_core.events import Draft, Event
from telemetry_core.hookspecs import hookimpl
from telemetry_core.storage import Storage
from telemetry_migrate.places import open_source
from telemetry_migrate.rejects import Reject
from telemetry_migrate.sources import Options, SourceType

NAME: Final = "site"


@hookimpl
def telemetry_register_source() -> SourceType:
    """Sign up `site:`."""
    return SourceType(
        name=NAME, summary="the events of any storage, recorded anew under new numbers", read=read
    )


def read(place: str, options: Options) -> Iterator[Draft | Reject]:
    """
    Yield the history of the storage at the path or URL *place*; see `drafts_of`.

    Raises:
        PluginError: No storage can be opened there.
        StorageError: It cannot be read.
    """
    with open_source(place, options) as storage:
        yield from drafts_of(storage, place)


def drafts_of(storage: Storage, place: str) -> Iterator[Draft]:
    """
    Yield the history of *storage*, runs and site stream as one, each event to be recorded anew.

    Where it came from stands in its meta: `migrated_from` is the *place*, `original_id` its seq
    there and `original_run` its run. An event without an id gets one from these.
    """
    for event in storage.read():
        yield _draft(event, place)


def _draft(event: Event, place: str) -> Draft:
    meta = {**event.meta, "migrated_from": place, "original_id": event.seq}
    run_id = meta.pop("run_id", None)
    return Draft(
        event.type,
        event.data,
        ts=event.ts,
        meta=meta if run_id is None else {**meta, "original_run": run_id},
        make_current=False,
        id=event.id or f"{place}#{event.seq}"[-128:],
    )
