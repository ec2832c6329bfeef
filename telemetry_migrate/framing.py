"""Putting records together that stand on several lines, and taking lists of them apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from telemetry_migrate.lines import MAX_LINE
from telemetry_migrate.oldjson import depth_after

BOM: Final = b"\xef\xbb\xbf"


class Framing:
    """
    Finds where a record ends, line by line.

    A record may stand on one line, be pretty-printed over several, or be an element of a list that
    is the whole file. A new record that begins before the last one ended ends it: so a torn line
    costs only itself. `lines` counts the lines taken; `number` is the one on which the record given
    last began.
    """

    __slots__ = ("_depth", "_is_list", "_number", "_parts", "_size", "lines", "number")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._depth = 0
        self._size = 0
        self._is_list = False
        self.lines = 0
        self._number = 0
        self.number = 0

    @property
    def is_open(self) -> bool:
        """Whether a record began and did not end."""
        return bool(self._parts)

    def skip(self, lines: int) -> None:
        """Count *lines* that were records by themselves."""
        self.lines += lines

    def take(self, line: bytes) -> Iterator[bytes]:
        """Take the next *line* and yield the records that end with it."""
        self.lines += 1
        if self._parts and line.startswith(b'{"'):
            yield self._ended()
        text = line.strip()
        if not self._parts:
            text = self._begin(text)
        if not text:
            return
        if not self._parts:
            self._number = self.lines
        self._parts.append(line if text == line.strip() else text)
        self._size += len(text)
        self._depth += depth_after(text)
        if self._is_list and self._depth < 0 and text.endswith(b"]"):
            self._parts[-1] = text[:-1]
            self._is_list = False
            self._depth = 0
        if self._depth <= 0 or self._size >= MAX_LINE or not _may_go_on(self._parts[0]):
            yield self._ended()

    def end(self) -> Iterator[bytes]:
        """Yield the record that began and did not end before the file did."""
        if self._parts:
            yield self._ended()

    def _begin(self, text: bytes) -> bytes:
        """Return *text* without what belongs to the file and to no record in it."""
        if self.lines == 1:
            text = text.removeprefix(BOM).lstrip()
            if text.startswith(b"[") and depth_after(text) > 0:
                self._is_list = True
                text = text[1:].lstrip()
        if self._is_list and text == b"]":
            self._is_list = False
            text = b""
        return text

    def _ended(self) -> bytes:
        record = b"\n".join(self._parts)
        if self._is_list:
            record = record.rstrip().removesuffix(b",")
        self.number = self._number
        self._parts = []
        self._depth = 0
        self._size = 0
        return record


def _may_go_on(first: bytes) -> bool:
    return first.lstrip().startswith(b"{")
