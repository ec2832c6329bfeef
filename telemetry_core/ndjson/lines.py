"""One event, one line: writing it and reading it back."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import orjson

from telemetry_core.events import EMPTY_META, Event, make_event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

_BLOCK = 256 * 1024


class LineEncoder:
    """Makes the line of an event; the names of types are encoded once."""

    __slots__ = ("_types",)

    def __init__(self) -> None:
        self._types: dict[str, bytes] = {}

    def __call__(self, event: Event) -> bytes:
        """Return *event* as it stands in a file, with its line break."""
        type_json = self._types.get(event.type)
        if type_json is None:
            type_json = orjson.dumps(event.type)
            if len(self._types) < 10_000:  # noqa: PLR2004
                self._types[event.type] = type_json
        line = b'{"seq":%d,"ts":"%b","type":%b,"data":%b,"meta":%b' % (
            event.seq,
            event.ts.encode(),
            type_json,
            event._data_json,  # noqa: SLF001
            event._meta_json,  # noqa: SLF001
        )
        if event.id is not None:
            line += b',"id":' + orjson.dumps(event.id)
        if not event.make_current:
            line += b',"current":false'
        return line + b"}\n"


class DamagedLineError(ValueError):
    """The line is no event."""


def parse_line(line: bytes) -> Event:
    """
    Return the event in *line*.

    Raises:
        DamagedLineError: There is none.
    """
    try:
        return event_of(orjson.loads(line))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise DamagedLineError(str(error)) from None


def event_of(values: dict[str, Any]) -> Event:
    """
    Return the event whose fields are *values*, as they stand in a line.

    Raises:
        DamagedLineError: They are no event's.
        KeyError, TypeError, AttributeError: Likewise.
    """
    seq, ts, type_, data = values["seq"], values["ts"], values["type"], values["data"]
    meta = values.get("meta") or {}
    if type(seq) is not int or type(ts) is not str or type(type_) is not str:
        message = "seq, ts or type is of the wrong kind"
        raise DamagedLineError(message)
    if type(meta) is not dict:
        message = "meta is no object"
        raise DamagedLineError(message)
    return Event(
        seq,
        ts,
        type_,
        data,
        meta,
        values.get("id"),
        values.get("current", True) is not False,
    )


def read_lines(path: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """
    Yield the whole lines of the file *path* with their offsets, from *start* on.

    A last line without a line break is left out: it is being written, or torn. A file that is not
    there has no lines. Memory stays bounded, except for the longest line.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(start)
        offset = start
        rest = b""
        while block := file.read(_BLOCK):
            lines = (rest + block).split(b"\n")
            rest = lines.pop()
            for line in lines:
                yield offset, line
                offset += len(line) + 1


def read_events(path: Path, start: int = 0) -> Iterator[tuple[int, Event]]:
    """Yield the events of the file *path* with the offset after each; damage is logged."""
    for offset, line in read_lines(path, start):
        try:
            event = parse_line(line)
        except DamagedLineError as error:
            if line.strip():
                log.warning(
                    "damaged line in %s at offset %d, %d bytes, passed over: %s",
                    path,
                    offset,
                    len(line),
                    error,
                )
            continue
        yield offset + len(line) + 1, event


def first_event(path: Path) -> Event | None:
    """Return the first event in the file *path*, or `None`."""
    return next((event for _, event in read_events(path)), None)


def last_event(path: Path) -> Event | None:
    """Return the last event in the file *path*, found from its end, or `None`."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2)
            span = 64 * 1024
            while True:
                start = max(0, end - span)
                file.seek(start)
                lines = file.read(end - start).split(b"\n")
                # The first piece may be the end of a line, the last one is not finished.
                for line in reversed(lines[0 if start == 0 else 1 : -1]):
                    try:
                        return parse_line(line)
                    except DamagedLineError:
                        continue
                if start == 0:
                    return None
                span *= 4
    except FileNotFoundError:
        return None


def stored_line(event: Event) -> dict[str, Any]:
    """Return *event* as a checkpoint keeps it: the fields of a line, and whether it was stored."""
    values: dict[str, Any] = {
        "seq": event.seq,
        "ts": event.ts,
        "type": event.type,
        "data": orjson.Fragment(event.data_json),
        "meta": orjson.Fragment(event.meta_json),
    }
    if event.id is not None:
        values["id"] = event.id
    if not event.store_permanently:
        values["stored"] = False
    return values


def from_stored(values: dict[str, Any]) -> Event:
    """Return the event that `stored_line` made *values* of."""
    event = event_of(values)
    return make_event(
        event.seq,
        event.ts,
        event.type,
        event.data_json,
        event.meta_json or EMPTY_META,
        event.id,
        store_permanently=values.get("stored", True),
    )
