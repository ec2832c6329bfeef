"""The forms that the history comes in, and choosing one of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Final

from attrs import frozen
from starlette.requests import Request

from telemetry_core import InvalidSelectionError, Problem, Selection, Storage
from telemetry_http.problems import RequestError

BLOCK_BYTES: Final = 128 * 1024
"""A block ends when it has so many bytes."""

Blocks = Callable[[Storage, Selection], Iterator[bytes]]


@frozen
class Format:
    """A form of the history; `blocks` makes what a selection yields a stream in that form."""

    name: str
    media_types: tuple[str, ...]
    blocks: Blocks


def _ndjson(storage: Storage, selection: Selection) -> Iterator[bytes]:
    return storage.read_json(selection)


def _csv(storage: Storage, selection: Selection) -> Iterator[bytes]:
    """Yield a table as RFC 4180 has it; data and meta are JSON text."""
    block = io.StringIO()
    write_row = csv.writer(block).writerow
    write_row(("seq", "ts", "type", "data", "meta"))
    for event in storage.read(selection):
        data, meta = event.data_json.decode(), event.meta_json.decode()
        write_row((event.seq, event.ts, event.type, data, meta))
        if block.tell() > BLOCK_BYTES:
            yield block.getvalue().encode()
            block.seek(0)
            block.truncate()
    yield block.getvalue().encode()


JSON: Final = Format("json", ("application/json",), _ndjson)
"""One document with a page of events; the only form that is not sent as a stream."""

FORMATS: Final = (
    JSON,
    Format(
        "ndjson", ("application/x-ndjson", "application/jsonl", "application/jsonlines"), _ndjson
    ),
    Format("csv", ("text/csv",), _csv),
)


def format_for(request: Request, name: str | None) -> Format:
    """
    Return the format called *name*, or the one that the request's `Accept` likes best.

    Raises:
        InvalidSelectionError: No format has that name.
        RequestError: 406: none of them is accepted.
    """
    if name is not None:
        found = next((one for one in FORMATS if one.name == name), None)
        if found is None:
            known = ", ".join(one.name for one in FORMATS)
            raise InvalidSelectionError([Problem("$.format", f"{name!r:.100} is not in {known}")])
        return found
    accepted = request.headers.get("accept", "*/*")
    for wanted in _by_liking(accepted):
        for one in FORMATS:
            if any(_matches(wanted, media_type) for media_type in one.media_types):
                return one
    known = ", ".join(one.media_types[0] for one in FORMATS)
    raise RequestError(406, f"{accepted!r:.100} accepts none of {known}")


def _by_liking(accepted: str) -> list[str]:
    """Return the media ranges of an `Accept` header, the one liked best first (RFC 9110, 12.5)."""
    ranges = []
    for part in accepted.split(","):
        media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        if quality > 0:
            ranges.append((quality, media_range))
    return [media_range for _, media_range in sorted(ranges, key=lambda one: -one[0])]


def _matches(media_range: str, media_type: str) -> bool:
    if media_range == "*/*":
        return True
    kind, _, subtype = media_range.partition("/")
    return media_range == media_type or (subtype == "*" and media_type.startswith(f"{kind}/"))
