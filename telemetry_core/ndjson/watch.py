"""Watching a site directory that another process writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_core.ndjson.checkpoint import Checkpoint
from telemetry_core.ndjson.layout import RUN_LINES
from telemetry_core.ndjson.lines import last_event

if TYPE_CHECKING:
    from pathlib import Path

    from telemetry_core.ndjson.layout import Layout

_Version = tuple[int, int, int]


class Watch:
    """
    Tells the last stored seq of a directory as its files grow.

    The checkpoint names the files that are open for appending, and is there before the first line
    goes into one that it did not name; so these are the only ones to look at, once all were
    looked at. For one thread at a time.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._last_seq = 0
        self._versions: dict[Path, _Version] = {}
        self._checkpoint_version: _Version | None = None
        self._open: list[Path] = []
        self._look_at(self._all_files())

    def last_stored(self) -> int:
        """Return the highest seq in the files, as their last lines say."""
        version = _version_of(self._layout.checkpoint)
        if version is None:
            self._look_at(self._all_files())
            return self._last_seq
        if version != self._checkpoint_version:
            checkpoint = Checkpoint.read(self._layout.checkpoint)
            names = [] if checkpoint is None else list(checkpoint.sizes)
            if checkpoint is not None:
                # Files that were opened and closed since the last look are named in none.
                self._last_seq = max(self._last_seq, checkpoint.last_stored)
            # Those named before may have grown until the new one was written.
            self._look_at(self._open)
            self._open = [self._layout.site_dir / name for name in names]
            self._checkpoint_version = version
        self._look_at(self._open)
        return self._last_seq

    def _all_files(self) -> list[Path]:
        """Return the files one of which has the highest seq: of the days, the last with events."""
        newest = []
        for _, path in reversed(self._layout.site_files()):
            newest.append(path)
            if last_event(path) is not None:
                break
        return [*newest, *(one / RUN_LINES for one in self._layout.run_directories())]

    def _look_at(self, paths: list[Path]) -> None:
        for path in paths:
            version = _version_of(path)
            if version is not None and version != self._versions.get(path):
                event = last_event(path)
                if event is not None:
                    self._last_seq = max(self._last_seq, event.seq)
                self._versions[path] = version


def _version_of(path: Path) -> _Version | None:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns
