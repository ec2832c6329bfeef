"""A PanFileDB archive as a source: all collections as one, in order of time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson
from attrs import evolve

from telemetry_core.events import Draft
from telemetry_core.hookspecs import hookimpl
from telemetry_migrate.archive import Collection, find_collections
from telemetry_migrate.conversion import Conversion, divided
from telemetry_migrate.days import day_rule
from telemetry_migrate.rejects import Reject
from telemetry_migrate.sources import Options, SourceType, check_options
from telemetry_migrate.spill import Spill, sorted_lines

NAME: Final = "panfiledb"


@hookimpl
def telemetry_register_source() -> SourceType:
    """Sign up `panfiledb:`."""
    return SourceType(
        name=NAME, summary="the json_store directory of PanDB, in order of time", read=read
    )


def read(place: str, options: Options) -> Iterator[Draft | Reject]:
    """
    Yield what could not be read of the archive in the directory *place*, then its records.

    Raises:
        SourceNotFoundError: There is no collection.
        SourceSettingsError: It has no options.
    """
    check_options(NAME, options, ())
    collections = find_collections(Path(place))
    with tempfile.TemporaryDirectory(prefix="migrate-") as work:
        spill = Spill(Path(work) / "added")
        for each in collections:
            yield from _spilled(each, spill)
        spill.flush()
        for day in sorted(spill.counts):
            yield from map(_draft, sorted_lines((spill.path_of(day),)))


def _spilled(collection: Collection, spill: Spill) -> Iterator[Reject]:
    """Spill the records of *collection*, and yield what is rejected; not all of that at once."""
    lines = 0
    for start, size in divided(collection):
        rejected: list[Reject] = []
        conversion = Conversion(day_rule(), spill, rejected.append)
        done = conversion.convert(collection, start, size)
        for one in rejected:
            yield one if one.line is None else evolve(one, line=lines + one.line)
        lines += done.lines


def _draft(line: bytes) -> Draft:
    event = orjson.loads(b"{" + line)
    original_id = event["meta"]["original_id"]
    return Draft(
        event["type"],
        event["data"],
        ts=event["ts"],
        meta=event["meta"],
        make_current=False,
        id=original_id if isinstance(original_id, str) else None,
    )
