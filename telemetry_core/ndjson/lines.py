"""One event, one line: writing it and reading it back."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from telemetry_core.events import EMPTY_META, Event, _BlankEvent, make_event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from telemetry_core.blocks import DraftBlock

log = logging.getLogger(__name__)

PIECE: Final = 128 * 1024
"""How many bytes of a file are looked at together."""

_KNOWN_TYPES_KEPT = 10_000


class _TypeTexts(dict[str, bytes]):
    """The names of types as JSON text, each encoded once."""

    def __missing__(self, name: str) -> bytes:
        text = orjson.dumps(name)
        if len(self) < _KNOWN_TYPES_KEPT:
            self[name] = text
        return text


class LineEncoder:
    """Makes the line of an event."""

    __slots__ = ("_types",)

    def __init__(self) -> None:
        self._types = _TypeTexts()

    def line_of(self, event: Any, seq: int) -> bytes:
        """Return *event*, or a checked draft, under *seq* as it stands in a file."""
        if event.id is None and event.make_current:
            return b'{"seq":%d,"ts":"%b","type":%b,"data":%b,"meta":%b}\n' % (
                seq,
                event.ts.encode(),
                self._types[event.type],
                event._data_json,  # noqa: SLF001
                event._meta_json,  # noqa: SLF001
            )
        extra = b"" if event.id is None else b',"id":' + orjson.dumps(event.id)
        if not event.make_current:
            extra += b',"current":false'
        return b'{"seq":%d,"ts":"%b","type":%b,"data":%b,"meta":%b%b}\n' % (
            seq,
            event.ts.encode(),
            self._types[event.type],
            event._data_json,  # noqa: SLF001
            event._meta_json,  # noqa: SLF001
            extra,
        )


class _WrittenLine(msgspec.Struct, gc=False):
    """The line of an event in a block."""

    seq: int
    ts: str | None
    type: str
    data: Any
    meta: msgspec.Raw


_encode_lines = msgspec.json.Encoder().encode_lines


def lines_of(block: DraftBlock, first_seq: int) -> bytes:
    """Return the events of a *block*, numbered from *first_seq* on, as they stand in a file."""
    meta = itertools.repeat(msgspec.Raw(block.meta_json))
    columns = (itertools.count(first_seq), block.ts, block.types, block.data, meta)
    return _encode_lines(list(map(_WrittenLine, *columns)))


class Line(msgspec.Struct, gc=False):
    """
    What stands in a line. Decoded by msgspec, as many lines at once as there are.

    `data` is looked through and stays text: most readers want few fields of few events, and who
    hands events on wants the text.
    """

    seq: int
    ts: str
    type: str
    data: msgspec.Raw
    meta: dict[str, Any] | None
    id: str | None = None
    current: bool | None = True

    def event(self) -> Event:
        """Return the event that this is."""
        event: Any = _BlankEvent()
        event.seq = self.seq
        event.ts = self.ts
        event.type = self.type
        event._data_json = bytes(self.data)  # noqa: SLF001
        if self.meta:
            event.meta = self.meta
        else:
            event._meta_json = EMPTY_META  # noqa: SLF001
            event.run_id = None
        event.id = self.id
        event.make_current = self.current is not False
        event.store_permanently = True
        event.__class__ = Event
        return event  # type: ignore[no-any-return]


def is_repeated(line: Line, before: Line | None) -> bool:
    """Whether *line* is the one *before* it once more; damage can make only their seqs the same."""
    return before is not None and line.seq == before.seq and line == before


class DamagedLineError(ValueError):
    """The line is no event."""


_decoder = msgspec.json.Decoder(Line)
_DAMAGED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def parse(text: bytes) -> Line:
    """
    Return the line that *text* is.

    Raises:
        DamagedLineError: It is no event.
    """
    try:
        _check_utf8(text)
        return _decoder.decode(text)
    except _DAMAGED as error:
        raise DamagedLineError(str(error)) from None


def _check_utf8(text: bytes) -> None:
    # The decoder does not look at what it passes over, such as the name of a field it lacks.
    if not text.isascii():
        text.decode()


def parse_lines(path: Path, offset: int, block: bytes) -> list[Line]:
    """Return the lines in *block*, from *offset* of the file *path* on; damage is logged."""
    try:
        _check_utf8(block)
        lines = _decoder.decode_lines(block)
    except _DAMAGED:
        return list(_undamaged(path, offset, block))
    return lines if len(lines) == block.count(b"\n") else list(_undamaged(path, offset, block))


def _undamaged(path: Path, offset: int, block: bytes) -> Iterator[Line]:
    for text in block.split(b"\n"):
        try:
            yield parse(text)
        except DamagedLineError as error:
            tell_damage(path, offset, text, error)
        offset += len(text) + 1


def last_line(block: bytes) -> bytes:
    """Return the last of the whole lines in *block*."""
    return block[block.rfind(b"\n", 0, -1) + 1 :]


def read_blocks(
    path: Path, start: int = 0, end: int | None = None, *, size: int = PIECE
) -> Iterator[tuple[int, bytes]]:
    """
    Yield the file *path* from *start* up to *end* in blocks of whole lines, with their offsets.

    Both stand at the beginning of a line; a block has about *size* bytes. A last line without a
    line break is left out: it is being written, or torn. A file that is not there has no lines.
    Memory stays bounded, except for the longest line.
    """
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        return
    with file:
        file.seek(start)
        offset = at = start
        rest = b""
        while end is None or at < end:
            piece = file.read(size if end is None else min(size, end - at))
            if not piece:
                return
            at += len(piece)
            cut = piece.rfind(b"\n") + 1
            if not cut:
                rest += piece
                continue
            yield offset, rest + piece[:cut]
            rest = piece[cut:]
            offset = at - len(rest)


def read_events(path: Path, start: int = 0, end: int | None = None) -> Iterator[Event]:
    """Yield the events of the file *path* between two offsets; damage is logged."""
    for offset, block in read_blocks(path, start, end):
        for line in parse_lines(path, offset, block):
            yield line.event()


def backwards(path: Path, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """
    Yield the lines between two offsets of the file *path* with their offsets, the last one first.

    Both offsets stand behind a line break, or at the beginning of the file. A file that is not
    there any more has no lines.
    """
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        return
    with file:
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


def size_of(path: Path) -> int:
    """Return the size of the file *path* in bytes, 0 if it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def first_event(path: Path) -> Event | None:
    """Return the first event in the file *path*, or `None`."""
    try:
        with path.open("rb") as file:
            for text in file:
                try:
                    return parse(text).event() if text.endswith(b"\n") else None
                except DamagedLineError:
                    continue
    except FileNotFoundError:
        pass
    return None


def last_event(path: Path) -> Event | None:
    """Return the last event in the file *path*, found from its end, or `None`."""
    try:
        for _, text in backwards(path, 0, end_of_lines(path)):
            try:
                return parse(text).event()
            except DamagedLineError:
                continue
    except FileNotFoundError:
        pass
    return None


def can_be_written(event: Event) -> bool:
    """Whether *event*, read from a line that may be somebody else's, can be written down again."""
    try:
        return bool(event.data_json and event.meta_json)
    except TypeError as error:
        log.warning("event %d of type %r is never current: %s", event.seq, event.type, error)
        return False


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
    """
    Return the event that `stored_line` made *values* of.

    Raises:
        ValueError, KeyError: They are no event's.
    """
    seq, ts, type_ = values["seq"], values["ts"], values["type"]
    if type(seq) is not int or type(ts) is not str or type(type_) is not str:
        raise ValueError(f"{values!r:.200} is no event")
    return make_event(
        seq,
        ts,
        type_,
        orjson.dumps(values["data"]),
        orjson.dumps(values["meta"]),
        values.get("id"),
        store_permanently=values.get("stored", True),
    )
