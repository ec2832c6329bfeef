"""The ids of the latest events, so that a retry stores nothing twice."""

from __future__ import annotations

import logging
import os
from collections import deque
from typing import TYPE_CHECKING, Final

import orjson

from telemetry_core.ndjson.layout import FILE_MODE, write_all, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

log = logging.getLogger(__name__)

MAX_IDS: Final = 50_000
"""So many of the latest events that had an id are remembered, also across a restart."""


class Ids:
    """
    Which seq belongs to an id, for the latest `MAX_IDS` of them.

    They are written to a file of their own at each checkpoint; those after it are found in the
    lines that the checkpoint does not cover.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seqs: dict[str, int] = {}
        self._unsaved: deque[tuple[int, str]] = deque()
        self._lines = 0
        self._load()

    def add(self, event_id: str, seq: int) -> None:
        """Remember *event_id*, and forget the oldest when there are too many."""
        if self._seqs.get(event_id) == seq:
            return
        self._seqs[event_id] = seq
        self._unsaved.append((seq, event_id))
        if len(self._seqs) > MAX_IDS:
            del self._seqs[next(iter(self._seqs))]

    def seq_of(self, event_id: str) -> int | None:
        """Return the seq of the event stored under *event_id*, or `None`."""
        return self._seqs.get(event_id)

    def forget(self, event_id: str) -> None:
        """Let go of an id whose event is not there any more."""
        self._seqs.pop(event_id, None)

    def save(self) -> None:
        """Write down what was added, safe from a power cut; ids may be added meanwhile."""
        new = [self._unsaved.popleft() for _ in range(len(self._unsaved))]
        if not new:
            return
        try:
            if self._lines + len(new) > 2 * MAX_IDS:
                kept = [(seq, event_id) for event_id, seq in self._seqs.copy().items()]
                write_whole(self._path, _lines(kept))
                self._lines = len(kept)
            else:
                self._append(_lines(new))
                self._lines += len(new)
        except OSError:
            self._unsaved.extendleft(reversed(new))
            raise

    def _append(self, lines: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self._path, flags, FILE_MODE)
        try:
            # A line break first: what an interrupted write left behind spoils no line of this one.
            write_all(fd, b"\n" + lines)
            os.fdatasync(fd)
        finally:
            os.close(fd)

    def _load(self) -> None:
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        self._lines = len(lines)
        for line in lines[-2 * MAX_IDS :]:
            try:
                seq, event_id = orjson.loads(line)
                self._seqs.pop(event_id, None)
                self._seqs[event_id] = int(seq)
            except (ValueError, TypeError):
                if line:
                    log.warning("a damaged line in %s was passed over", self._path)
        for event_id in list(self._seqs)[:-MAX_IDS]:
            del self._seqs[event_id]


def _lines(ids: Iterable[tuple[int, str]]) -> bytes:
    return b"".join(orjson.dumps(one) + b"\n" for one in ids)
