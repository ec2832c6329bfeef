"""One record of PanFileDB and the line it becomes: the careful way, which all others must equal."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

import orjson

import telemetry_core
from telemetry_core.clock import parse_ts
from telemetry_core.errors import InvalidEventError, MalformedJSONError
from telemetry_migrate.oldjson import read_old_json

ORIGIN: Final = "PanFileDB"
TS_START: Final = len(b'"ts":"')
"""Where the time begins in an unnumbered line."""

_ZONED = re.compile(r"([Zz]|[+-]\d\d:\d\d)$")
_FIELDS: Final = frozenset(("_id", "type", "date", "data"))


class RefusedRecordError(ValueError):
    """The record cannot become an event; the message says why."""


class RecordReader:
    """
    Turns the text of a record into an unnumbered line: an event of the output without its seq.

    What it refuses is what a recorder refuses, because it asks one.
    """

    def __init__(self) -> None:
        self.nulled = 0

    def read(self, text: bytes, collection: str) -> tuple[str, bytes]:
        """
        Return the canonical time of the record in *text*, and its line.

        Raises:
            RefusedRecordError: It cannot become an event.
        """
        try:
            value, nulled = read_old_json(text)
            ts, type_, data, meta = _fields_of(value, collection)
            # Neither stored nor current: the recorder checks it and forgets it.
            event = _recorder().record(
                type_, data, ts=ts, meta=meta, make_current=False, store_permanently=False
            )
        except (MalformedJSONError, InvalidEventError) as error:
            raise RefusedRecordError(str(error)) from None
        self.nulled += nulled
        return event.ts, line_of(event.ts, event.type, data, meta)


@cache
def _recorder() -> telemetry_core.Recorder:
    """Return the recorder that is asked, one for the process: making one takes a while."""
    return telemetry_core.open("memory:")


def line_of(ts: str, type_: str, data: Any, meta: dict[str, Any]) -> bytes:
    """
    Return an unnumbered line: what stands behind the seq, with the line break.

    As a copy, because orjson's own bytes keep the memory of a much longer text.
    """
    fields = {"ts": ts, "type": type_, "data": data, "meta": meta}
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)[1:]


def _fields_of(record: Any, collection: str) -> tuple[str, Any, Any, dict[str, Any]]:
    if not isinstance(record, dict):
        raise RefusedRecordError(f"a record is an object, not {record!r:.100}")
    if "data" not in record:
        raise RefusedRecordError("the field 'data' is missing")
    meta = {"migrated_from": ORIGIN, "original_id": record.get("_id")}
    more = {key: value for key, value in record.items() if key not in _FIELDS}
    if more:
        meta["original_fields"] = more
    return _time_of(record.get("date")), record.get("type", collection), record["data"], meta


def _time_of(when: Any) -> str:
    """Return the canonical form of *when*; without a zone it is UTC, as PanDB wrote it."""
    if not isinstance(when, str):
        raise RefusedRecordError(f"$.date: {when!r:.100} is no time like 2026-03-18T00:05:48.955")
    try:
        return parse_ts(when if _ZONED.search(when) else f"{when}Z")[0]
    except ValueError as error:
        raise RefusedRecordError(f"$.date: {error}") from None
