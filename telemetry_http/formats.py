"""The forms that the history comes in, and choosing one of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import orjson
from attrs import frozen
from starlette.requests import Request

from telemetry_core import Event, InvalidSelectionError, Problem
from telemetry_http.problems import RequestError

BLOCK_BYTES: Final = 128 * 1024
"""A block ends when it has so many bytes."""


@frozen
class Format:
    """How events become bytes: a head, and then each event."""

    name: str
    media_types: tuple[str, ...]
    head: bytes
    encode: Callable[[Event], bytes]


def _ndjson(event: Event) -> bytes:
    # The same as `event_json`, and quicker for an event that a storage has decoded.
    return orjson.dumps(
        {
            "seq": event.seq,
            "ts": event.ts,
            "type": event.type,
            "data": event.data,
            "meta": event.meta,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def _csv(event: Event) -> bytes:
    """Return a row as RFC 4180 has it; data and meta are JSON text."""
    row = io.StringIO()
    csv.writer(row).writerow(
        (event.seq, event.ts, event.type, event.data_json.decode(), event.meta_json.decode())
    )
    return row.getvalue().encode()


JSON: Final = Format("json", ("application/json",), b"", _ndjson)
"""One document with a page of events; the only form that is not a stream."""

FORMATS: Final = (
    JSON,
    Format(
        "ndjson",
        ("application/x-ndjson", "application/jsonl", "application/jsonlines"),
        b"",
        _ndjson,
    ),
    Format("csv", ("text/csv",), b"seq,ts,type,data,meta\r\n", _csv),
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


def blocks_of(read: Callable[[], Iterable[Event]], form: Format) -> Iterator[bytes]:
    """Yield the events that *read* returns in the format *form*, in blocks."""
    if form.head:
        yield form.head
    block: list[bytes] = []
    size = 0
    for event in read():
        part = form.encode(event)
        block.append(part)
        size += len(part)
        if size > BLOCK_BYTES:
            yield b"".join(block)
            block, size = [], 0
    if block:
        yield b"".join(block)
