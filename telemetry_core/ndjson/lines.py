"""One event, one line: writing it and reading it back."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final

import orjson

from telemetry_core.events import EMPTY_META, Event, _BlankEvent, make_event

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

PIECE: Final = 256 * 1024
"""How many bytes of a file are looked at together."""

HEAD: Final = re.compile(
    rb'\{"seq":(\d+),"ts":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,9})Z","type":"([^"\\]*)","data":'
)
"""How a line of ours begins, with seq, ts and type; somebody else's may look otherwise."""

_KNOWN_TYPES_KEPT = 10_000


class LineEncoder:
    """Makes the line of an event; the names of types are encoded once."""

    __slots__ = ("_types",)

    def __init__(self) -> None:
        self._types: dict[str, bytes] = {}

    def __call__(self, event: Any, seq: int) -> bytes:
        """Return *event*, or a checked draft, under *seq* as it stands in a file."""
        type_json = self._types.get(event.type) or self._encode_type(event.type)
        if event.id is None and event.make_current:
            return b'{"seq":%d,"ts":"%b","type":%b,"data":%b,"meta":%b}\n' % (
                seq,
                event.ts.encode(),
                type_json,
                event._data_json,  # noqa: SLF001
                event._meta_json,  # noqa: SLF001
            )
        extra = b"" if event.id is None else b',"id":' + orjson.dumps(event.id)
        if not event.make_current:
            extra += b',"current":false'
        return b'{"seq":%d,"ts":"%b","type":%b,"data":%b,"meta":%b%b}\n' % (
            seq,
            event.ts.encode(),
            type_json,
            event._data_json,  # noqa: SLF001
            event._meta_json,  # noqa: SLF001
            extra,
        )

    def _encode_type(self, type_: str) -> bytes:
        encoded = orjson.dumps(type_)
        if len(self._types) < _KNOWN_TYPES_KEPT:
            self._types[type_] = encoded
        return encoded


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
    event: Any = _BlankEvent()
    event.seq = seq = values["seq"]
    event.ts = ts = values["ts"]
    event.type = type_ = values["type"]
    event.data = values["data"]
    event.meta = meta = values.get("meta") or {}
    if seq.__class__ is not int or ts.__class__ is not str or type_.__class__ is not str:
        message = "seq, ts or type is of the wrong kind"
        raise DamagedLineError(message)
    if meta.__class__ is not dict:
        message = "meta is no object"
        raise DamagedLineError(message)
    event.id = values.get("id")
    event.make_current = values.get("current", True) is not False
    event.store_permanently = True
    event.is_duplicate = False
    event.__class__ = Event
    return event  # type: ignore[no-any-return]


def read_lines(path: Path, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
    """
    Yield the whole lines of the file *path* with their offsets, from *start* up to *end*.

    Both stand at the beginning of a line. A last line without a line break is left out: it is
    being written, or torn. A file that is not there has no lines. Memory stays bounded, except for
    the longest line.
    """
    for offset, lines in pieces(path, start, end):
        at = offset
        for line in lines:
            yield at, line
            at += len(line) + 1


def read_events(path: Path, start: int = 0, end: int | None = None) -> Iterator[tuple[int, Event]]:
    """Yield the events of the file *path* with the offset after each; damage is logged."""
    for offset, line in read_lines(path, start, end):
        try:
            event = parse_line(line)
        except DamagedLineError as error:
            tell_damage(path, offset, line, error)
            continue
        yield offset + len(line) + 1, event


def backwards(path: Path, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """
    Yield the lines between two offsets of the file *path* with their offsets, the last one first.

    Both offsets stand behind a line break, or at the beginning of the file.
    """
    with path.open("rb", buffering=0) as file:
        at = end - 1
        rest = b""
        while at > start:
            begin = max(start, at - PIECE)
            file.seek(begin)
            rest, *lines = (file.read(at - begin) + rest).split(b"\n")
            position = begin + len(rest) + 1 + sum(len(line) + 1 for line in lines)
            for line in reversed(lines):
                position -= len(line) + 1
                yield position, line
            at = begin
        if at == start and end > start:
            yield start, rest


def end_of_lines(path: Path) -> int:
    """Return the offset behind the last line break of the file *path*, 0 if there is none."""
    with path.open("rb", buffering=0) as file:
        at = file.seek(0, 2)
        while at > 0:
            begin = max(0, at - PIECE)
            file.seek(begin)
            found = file.read(at - begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            at = begin
    return 0


def tell_damage(path: Path, offset: int, line: bytes, error: Exception) -> None:
    """Log that the *line* at *offset* of the file *path* is no event; an empty line is nothing."""
    if line.strip():
        log.warning(
            "damaged line in %s at offset %d, %d bytes, passed over: %s",
            path,
            offset,
            len(line),
            error,
        )


def first_event(path: Path) -> Event | None:
    """Return the first event in the file *path*, or `None`."""
    return next((event for _, event in read_events(path)), None)


def last_event(path: Path) -> Event | None:
    """Return the last event in the file *path*, found from its end, or `None`."""
    try:
        end = end_of_lines(path)
        for _, line in backwards(path, 0, end):
            try:
                return parse_line(line)
            except DamagedLineError:
                continue
    except FileNotFoundError:
        pass
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


def pieces(path: Path, start: int, end: int | None) -> Iterator[tuple[int, Iterable[bytes]]]:
    """Yield whole lines of *path*, some at a time, with the offset of the first of them."""
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        return
    with file:
        file.seek(start)
        offset = at = start
        rest = b""
        while end is None or at < end:
            piece = file.read(PIECE if end is None else min(PIECE, end - at))
            if not piece:
                return
            at += len(piece)
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            yield offset, lines
            offset = at - len(rest)
