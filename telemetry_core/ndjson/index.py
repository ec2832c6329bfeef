"""The sparse index of one file: which seqs and which times lie in which part of it."""

from __future__ import annotations

import logging
import os
import re
import struct
import threading
import zlib
from bisect import bisect_right
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from telemetry_core.clock import instant_ns
from telemetry_core.ndjson.layout import FILE_MODE, make_directory
from telemetry_core.ndjson.lines import DamagedLineError, parse

if TYPE_CHECKING:
    from pathlib import Path

    from telemetry_core.ndjson.layout import Layout

log = logging.getLogger(__name__)

BLOCK: Final = 64 * 1024
"""A block is about so many bytes of whole lines."""

_ENTRY = struct.Struct("<QQqqII")
_CHECKED = _ENTRY.size - 4
_TAIL = 4096
# The line break before it, which a search leaps to; a `^` is tried at every byte.
_LINE = re.compile(rb'\n\{"seq":(\d+),"ts":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})\d*Z"')
_NO_TIME = (2**62, -(2**62))
_INDEXES_KEPT = 64


class Block(NamedTuple):
    """
    Whole lines up to the offset `end`: their highest seq, their earliest and latest ts.

    `tail` is a checksum of the last bytes of them, by which another file is told from this one.
    """

    end: int
    last_seq: int
    min_ms: int
    max_ms: int
    tail: int


class Index:
    """
    The blocks of one file, from its beginning; behind the last of them lies a rest of a block.

    It is made of the lines alone, so it can be thrown away, and it is brought up to date by
    reading what the file has grown by. Each entry on disk carries a checksum: from the first
    one that is damaged on, the index is made again.
    """

    def __init__(self, path: Path, kept_in: Path) -> None:
        self.path = path
        self.lock = threading.Lock()
        self._kept_in = kept_in
        self.blocks: list[Block] = []
        self._saved = 0
        self._load()

    @property
    def end(self) -> int:
        """The offset up to which the file is indexed."""
        return self.blocks[-1].end if self.blocks else 0

    def extend(self, to: int, *, most_bytes: int | None = None) -> None:
        """Index whole blocks of the file up to the offset *to*, or up to *most_bytes* more."""
        start = self.end
        if most_bytes is not None:
            to = min(to, start + most_bytes)
        with self.path.open("rb", buffering=0) as file:
            file.seek(start)
            rest = b""
            while True:
                piece = file.read(max(0, min(BLOCK, to - start - len(rest))))
                rest += piece
                cut = rest.rfind(b"\n") + 1
                if cut >= BLOCK // 2:
                    self.blocks.append(_block_of(rest[:cut], start, self.blocks))
                    start += cut
                    rest = rest[cut:]
                elif not piece:
                    return

    def is_whole(self, size: int) -> bool:
        """Whether there is no further block to index in the file, which has *size* bytes."""
        return size - self.end < BLOCK

    def save(self, to: int) -> None:
        """
        Write down the blocks up to the offset *to* that were not yet.

        They are not synced: what a power cut takes away is made again.
        """
        new = [block for block in self.blocks[self._saved :] if block.end <= to]
        if not new:
            return
        make_directory(self._kept_in.parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self._kept_in, flags, FILE_MODE)
        try:
            os.ftruncate(fd, self._saved * _ENTRY.size)
            os.pwrite(fd, b"".join(map(_packed, new)), self._saved * _ENTRY.size)
        finally:
            os.close(fd)
        self._saved += len(new)

    def start_after(self, seq: int) -> int:
        """Return an offset before which no line has a seq above *seq*."""
        position = bisect_right(self.blocks, seq, key=lambda block: block.last_seq)
        return self.blocks[position - 1].end if position else 0

    def spans(self, start: int, since_ms: int | None, until_ms: int | None) -> list[Span]:
        """
        Return the spans from the offset *start* on in which a ts may lie in the given times.

        Blocks side by side are one span; the last span has no end: it is the rest of the file.
        """
        found: list[Span] = []
        begin = 0
        for end, _, min_ms, max_ms, _ in self.blocks:
            if (
                end > start
                and (since_ms is None or max_ms >= since_ms)
                and (until_ms is None or min_ms <= until_ms)
            ):
                if found and found[-1].end == begin:
                    found[-1] = Span(found[-1].start, end)
                else:
                    found.append(Span(max(begin, start), end))
            begin = end
        if found and found[-1].end == begin:
            return [*found[:-1], Span(found[-1].start, None)]
        return [*found, Span(max(begin, start), None)]

    def _load(self) -> None:
        try:
            kept = self._kept_in.read_bytes()
            size = self.path.stat().st_size
        except FileNotFoundError:
            return
        whole = len(kept) - len(kept) % _ENTRY.size
        for at, entry in enumerate(_ENTRY.iter_unpack(kept[:whole])):
            begin = at * _ENTRY.size
            block = Block(*entry[:-1])
            is_right = zlib.crc32(kept[begin : begin + _CHECKED]) == entry[-1]
            if not is_right or not self.end < block.end <= size:
                log.warning("the index %s is made again from block %d on", self._kept_in, at)
                break
            self.blocks.append(block)
        self._saved = len(self.blocks)
        if not self.fits(size):
            log.warning("%s is not the file that %s was made of", self.path, self._kept_in)
            self.blocks, self._saved = [], 0

    def fits(self, size: int) -> bool:
        """Whether the file, which has *size* bytes, is the one that this was made of."""
        if not self.blocks:
            return True
        last = self.blocks[-1]
        if last.end > size:
            return False
        with self.path.open("rb", buffering=0) as file:
            file.seek(max(0, last.end - _TAIL))
            return zlib.crc32(file.read(min(_TAIL, last.end))) == last.tail


class Span(NamedTuple):
    """A part of a file, from the beginning of a line up to one; `end=None` is the file's end."""

    start: int
    end: int | None


class Indexes:
    """The indexes of a site directory that were looked at lately. For any number of threads."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._known: OrderedDict[Path, Index] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, path: Path, *, most_bytes: int | None = None) -> Index:
        """Return the index of the file *path*, brought up to date, by *most_bytes* at most."""
        with self._lock:
            index = self._known.get(path) or Index(path, self._layout.index_of(path))
            self._known[path] = index
            self._known.move_to_end(path)
            if len(self._known) > _INDEXES_KEPT:
                self._known.popitem(last=False)
        with index.lock:
            size = path.stat().st_size
            if not index.fits(size):
                self.forget(path)
                index = Index(path, self._layout.index_of(path))
            index.extend(size, most_bytes=most_bytes)
        return index

    def forget(self, path: Path) -> None:
        """Let go of what is known of the file *path*, which was removed or replaced."""
        with self._lock:
            self._known.pop(path, None)


def _packed(block: Block) -> bytes:
    facts = _ENTRY.pack(*block, 0)[:_CHECKED]
    return facts + struct.pack("<I", zlib.crc32(facts))


def _block_of(lines: bytes, start: int, before: list[Block]) -> Block:
    """Return the block that whole *lines* are, which begin at the offset *start*."""
    heads = _LINE.findall(b"\n" + lines)
    try:
        if len(heads) != lines.count(b"\n"):
            raise ValueError  # noqa: TRY301  # a line is not as ours are
        # Canonical times are all of one form, so their texts compare as the times do.
        times = [ts for _, ts in heads]
        span = (_ms(min(times)), _ms(max(times)))
        last_seq = max(int(seq) for seq, _ in heads)
    except ValueError:
        last_seq, span = _look_at_each(lines)
    if before:
        last_seq = max(last_seq, before[-1].last_seq)
    return Block(start + len(lines), last_seq, *span, zlib.crc32(lines[-_TAIL:]))


def _look_at_each(lines: bytes) -> tuple[int, tuple[int, int]]:
    """Return the highest seq and the times of lines that are not all written as ours are."""
    last_seq = 0
    earliest, latest = _NO_TIME
    for line in lines.split(b"\n"):
        try:
            found = parse(line)
        except DamagedLineError:
            continue
        last_seq = max(last_seq, found.seq)
        try:
            ms = instant_ns(found.ts) // 1_000_000
        except ValueError:  # a ts that is no time: no time selects it
            continue
        earliest, latest = min(earliest, ms), max(latest, ms)
    return last_seq, (earliest, latest)


def _ms(text: bytes) -> int:
    return instant_ns(f"{text.decode()}Z") // 1_000_000
