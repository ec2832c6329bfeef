"""The history as text: blocks of lines that are handed on as they stand in the files."""

from __future__ import annotations

import heapq
import itertools
import operator
import threading
import zlib
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PASSAGE: Final = 256 * 1024
"""How many bytes of a file are handed on together."""

_KNOWN_BLOCKS: Final = 16_384
_NEVER: Final = 2**64


class _FiveKeys(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A line of exactly the five keys that a reader is promised."""

    seq: int
    ts: str
    type: str
    data: msgspec.Raw
    meta: dict[str, msgspec.Raw]


_decoder = msgspec.json.Decoder(_FiveKeys)


class Bounds(NamedTuple):
    """The first and the last seq of a block that may be handed on as it stands."""

    first: int
    last: int


class Known:
    """
    What was found out about blocks of lines, by their length and checksum.

    Looking through a block takes several times as long as reading it, and most of a history never
    changes. A checksum tells when it did. For any number of threads.
    """

    def __init__(self) -> None:
        self._bounds: OrderedDict[tuple[int, int], Bounds | None] = OrderedDict()
        self._lock = threading.Lock()

    def bounds_of(self, block: bytes) -> Bounds | None:
        """Return the bounds of *block*, or `None` if somebody has to look at each of its lines."""
        key = (len(block), zlib.crc32(block))
        with self._lock:
            if key in self._bounds:
                self._bounds.move_to_end(key)
                return self._bounds[key]
        seqs = seqs_of(block)
        bounds = Bounds(seqs[0], seqs[-1]) if seqs else None
        with self._lock:
            self._bounds[key] = bounds
            if len(self._bounds) > _KNOWN_BLOCKS:
                self._bounds.popitem(last=False)
        return bounds


def seqs_of(block: bytes) -> list[int] | None:
    """Return the seqs of the lines in *block*, if they are whole, five keys each, and ascend."""
    try:
        if not block.isascii():
            block.decode()
        seqs = [line.seq for line in _decoder.decode_lines(block)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    is_each_a_line = len(seqs) == block.count(b"}\n") == block.count(b"\n")
    is_ascending = all(map(operator.lt, seqs, itertools.islice(seqs, 1, None)))
    return seqs if is_each_a_line and is_ascending else None


class Passage:
    """
    Lines in ascending seq, which can be taken from the front up to some seq.

    They are taken apart only when it lies between them.
    """

    def __init__(self, text: bytes, bounds: Bounds) -> None:
        self._text = text
        self.first, self.last = bounds
        self._seqs: list[int] | None = None
        self._lines: list[bytes] = []

    def take_through(self, seq: int) -> bytes:
        """Return the lines up to *seq*, and keep the others; `first` is then that of the rest."""
        if seq >= self.last and self._seqs is None:
            self.first = self.last + 1
            return self._text
        seqs = self._apart()
        at = bisect_left(seqs, self.first)
        end = bisect_right(seqs, seq)
        self.first = seqs[end] if end < len(seqs) else self.last + 1
        return b"".join(self._lines[at:end])

    def end_at(self, seq: int) -> None:
        """Leave out the lines behind *seq*."""
        seqs = self._apart()
        end = bisect_right(seqs, seq)
        del seqs[end:], self._lines[end:]
        self.last = seqs[-1] if seqs else self.first - 1

    @property
    def is_empty(self) -> bool:
        """Whether all of it was taken."""
        return self.first > self.last

    def _apart(self) -> list[int]:
        if self._seqs is None:
            self._seqs = seqs_of(self._text) or []
            self._lines = self._text.splitlines(keepends=True)
            self._text = b""
        return self._seqs


def merged(streams: Iterable[tuple[int, Iterator[Passage]]]) -> Iterator[bytes]:
    """
    Yield the lines of *streams* in one order of seq, as much together as stands together.

    Each comes with a seq before which it has nothing, and is opened when that is reached, so that
    few files are open at a time.
    """
    waiting = [(bound, number, passages) for number, (bound, passages) in enumerate(streams)]
    waiting.sort(key=lambda one: one[:2], reverse=True)
    heads: list[tuple[int, int, Passage, Iterator[Passage]]] = []
    while heads or waiting:
        while waiting and (not heads or waiting[-1][0] <= heads[0][0]):
            _, number, passages = waiting.pop()
            _push(heads, number, next(passages, None), passages)
        if heads:
            first, number, passage, passages = heapq.heappop(heads)
            bound = min(heads[0][0] if heads else _NEVER, waiting[-1][0] if waiting else _NEVER)
            # Only damage makes two streams have the same seq; each is yielded all the same.
            yield passage.take_through(max(first, bound - 1))
            _push(heads, number, next(passages, None) if passage.is_empty else passage, passages)


def _push(
    heads: list[tuple[int, int, Passage, Iterator[Passage]]],
    number: int,
    passage: Passage | None,
    passages: Iterator[Passage],
) -> None:
    if passage is not None:
        heapq.heappush(heads, (passage.first, number, passage, passages))
