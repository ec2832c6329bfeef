"""The lines of a file in blocks, in bounded memory whatever the file holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

BLOCK: Final = 256 * 1024
MAX_LINE: Final = 1024 * 1024
"""The longest line that is looked at: four times the largest event."""


def line_blocks(file: BinaryIO, size: int | None = None) -> Iterator[list[bytes]]:
    """
    Yield the lines of *file* from where it stands, many at a time, without their line breaks.

    Only a line feed ends a line. The last one need not be ended. With *size*, no more than so many
    bytes are read. Of a line longer than `MAX_LINE` only so much is given.
    """
    rest = b""
    is_cut = False
    left = size
    while block := file.read(BLOCK if left is None else min(BLOCK, left)):
        if left is not None:
            left -= len(block)
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if is_cut and lines:
            lines[0] = lines[0][:MAX_LINE]
            is_cut = False
        if len(rest) > MAX_LINE:
            rest = rest[:MAX_LINE]
            is_cut = True
        if lines:
            yield lines
    if rest:
        yield [rest]
