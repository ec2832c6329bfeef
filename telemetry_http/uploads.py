"""A body of many events, taken apart while it arrives; memory stays flat however long it is."""

from __future__ import annotations

import codecs
import json
import zlib
from collections.abc import AsyncGenerator, Iterator
from typing import Final, Protocol

from starlette.requests import Request

from telemetry_http.arrival import Arrival
from telemetry_http.problems import RequestError
from telemetry_http.requests import MAX_BODY_BYTES

LONGEST: Final = MAX_BODY_BYTES
"""A longer line is cut there, and so is no event; it is what one event may take alone, too."""

PIECE: Final = 64 * 1024
"""No more than so many bytes of a compressed body are looked at together."""

_VALUE: Final = "a value"
_BEGIN: Final = ("[",)
_NOTHING: Final = ("nothing more",)
_AFTER: Final[dict[str, tuple[str, ...]]] = {
    "[": ("]", _VALUE),
    _VALUE: (",", "]"),
    ",": (_VALUE,),
    "]": _NOTHING,
}
"""What may follow in a list."""

_BLANKS: Final = (" ", "\t", "\r", "\n")
_NDJSON = frozenset({"application/x-ndjson", "application/jsonl", "application/jsonlines"})


class BrokenBodyError(Exception):
    """What follows in the body cannot be read; `detail` says why."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)


class Splitter(Protocol):
    """
    Finds the JSON texts in a body that comes in pieces.

    `broken` says why nothing more can be found, once that is so.
    """

    broken: str | None

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the texts that end in *piece*."""

    def end(self) -> list[bytes]:
        """Return what is left when the body ended."""


class Lines:
    """NDJSON: one text a line, blank ones too; the last line needs no line break."""

    def __init__(self) -> None:
        self.broken: str | None = None
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the lines that end in *piece*."""
        *lines, rest = piece.split(b"\n")
        if lines:
            self._keep(lines[0])
            lines[0] = self._taken()
        self._keep(rest)
        return lines

    def end(self) -> list[bytes]:
        """Return the last line, if it has no line break."""
        return [self._taken()] if self._parts else []

    def _keep(self, part: bytes) -> None:
        if part and self._size <= LONGEST:
            part = part[: LONGEST + 1 - self._size]
            self._parts.append(part)
            self._size += len(part)

    def _taken(self) -> bytes:
        text = b"".join(self._parts)
        self._parts, self._size = [], 0
        return text


class Elements:
    """A JSON array: one text an element. Behind what is not JSON nothing can be found any more."""

    def __init__(self) -> None:
        self.broken: str | None = None
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        # Only where an element ends is asked for; what it means is for others to say.
        self._find_end = json.JSONDecoder(parse_int=bool, parse_float=bool).raw_decode
        self._text = ""
        self._wanted: tuple[str, ...] = _BEGIN
        self._try_at = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the elements that end in *piece*."""
        self._text += self._decode(piece)
        return self._read(is_end=False) if len(self._text) >= self._try_at else []

    def end(self) -> list[bytes]:
        """Return what is left."""
        self._text += self._decode(b"", final=True)
        found = self._read(is_end=True)
        if self.broken is None and self._wanted != _NOTHING:
            self.broken = "the list does not end"
        return found

    def _read(self, *, is_end: bool) -> list[bytes]:
        found = []
        at = self._skip_blanks(0)
        while self.broken is None and at < len(self._text):
            sign = self._text[at]
            if sign in self._wanted:
                self._wanted = _AFTER[sign]
                end: int | None = at + 1
            elif _VALUE in self._wanted:
                end = self._end_of_value(at, is_end=is_end)
                if end is not None:
                    found.append(self._text[at:end].encode("utf-8", "surrogateescape"))
                    self._wanted = _AFTER[_VALUE]
            else:
                self.broken = f"malformed JSON: {sign!r} where {self._wanted[0]!r} should be"
                break
            if end is None:
                break
            at = self._skip_blanks(end)
        self._text = self._text[at:]
        # What did not end is tried again when there is twice as much, so that each character is
        # looked at a few times however small the pieces are.
        self._try_at = 2 * len(self._text)
        return found

    def _skip_blanks(self, at: int) -> int:
        while self._text[at : at + 1] in _BLANKS:
            at += 1
        return at

    def _end_of_value(self, at: int, *, is_end: bool) -> int | None:
        """Return where the value that begins at *at* ends, `None` if that is not to be seen."""
        is_all = is_end or len(self._text) - at > LONGEST
        try:
            end = self._find_end(self._text, at)[1]
        except RecursionError:
            self.broken = "malformed JSON: nested without end"
            return None
        except json.JSONDecodeError as error:
            if is_all:
                self.broken = f"malformed JSON: {error.msg}"
            return None
        # `1.5e` may be all there is of 1.5e7: a value has ended when something else has begun.
        return end if is_all or self._text[end : end + 1] in (",", "]", *_BLANKS) else None


async def texts_of(request: Request) -> AsyncGenerator[list[bytes], None]:
    """
    Yield the JSON texts in the body of *request*, some at a time, as they arrive.

    Raises:
        RequestError: 415 for another type or encoding, 408 for a body that stops arriving.
        BrokenBodyError: The rest of the body cannot be read.
        ClientDisconnect: The client is gone.
    """
    splitter = _splitter_for(request)
    unpacked = _unpacker_for(request)
    stream = aiter(request.stream())
    arrival: Arrival = request.app.state.arrival
    while True:
        try:
            piece = await arrival.within(anext(stream, None))
        except TimeoutError:
            message = f"nothing more of the body arrived within {arrival.seconds:g} s"
            raise RequestError(408, message, {"Connection": "close"}) from None
        if piece is None:
            break
        for part in unpacked.pieces(piece):
            texts = splitter.feed(part)
            if texts:
                yield texts
            _check_whole(splitter)
    unpacked.end()
    texts = splitter.end()
    if texts:
        yield texts
    _check_whole(splitter)


def _check_whole(splitter: Splitter) -> None:
    if splitter.broken is not None:
        raise BrokenBodyError(splitter.broken)


def _splitter_for(request: Request) -> Splitter:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in _NDJSON:
        return Lines()
    if media_type == "application/json":
        return Elements()
    message = f"the body must be application/x-ndjson or application/json, not {media_type!r:.100}"
    raise RequestError(415, message)


class _Plain:
    """A body that is not compressed."""

    def pieces(self, piece: bytes) -> Iterator[bytes]:
        yield piece

    def end(self) -> None:
        """Nothing can be missing."""


class _Gunzip:
    """
    A gzip body, of one member or several.

    However much is packed into a piece, no more than `PIECE` bytes of it are unpacked at once.
    """

    def __init__(self) -> None:
        self._member = _new_member()
        self._has_begun = False

    def pieces(self, piece: bytes) -> Iterator[bytes]:
        while piece:
            self._has_begun = True
            try:
                unpacked = self._member.decompress(piece, PIECE)
            except zlib.error as error:
                raise BrokenBodyError(f"the body is not gzip: {error}") from None
            if unpacked:
                yield unpacked
            if self._member.eof:
                piece = self._member.unused_data
                self._member, self._has_begun = _new_member(), False
            else:
                piece = self._member.unconsumed_tail

    def end(self) -> None:
        if self._has_begun:
            raise BrokenBodyError("the gzip body does not end")


def _new_member() -> zlib._Decompress:
    return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)


def _unpacker_for(request: Request) -> _Plain | _Gunzip:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("gzip", "x-gzip"):
        return _Gunzip()
    if encoding in ("identity", ""):
        return _Plain()
    raise RequestError(415, f"the encoding {encoding!r:.50} is not taken; use gzip or none")
