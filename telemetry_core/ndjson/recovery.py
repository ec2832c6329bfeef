"""What was known when a site directory was last written: the checkpoint and what came after."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from attrs import define, field

from telemetry_core.events import Event
from telemetry_core.ndjson.checkpoint import Checkpoint
from telemetry_core.ndjson.ids import MAX_IDS
from telemetry_core.ndjson.layout import RUN_LINES, flat_name, make_directory, write_whole
from telemetry_core.ndjson.lines import (
    DamagedLineError,
    can_be_written,
    end_of_lines,
    parse,
    read_events,
)
from telemetry_core.ndjson.log import Counts
from telemetry_core.ndjson.runfile import read_run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from telemetry_core.ndjson.layout import Layout
    from telemetry_core.ndjson.runfile import RunFiles
    from telemetry_core.runs import Run

log = logging.getLogger(__name__)


@define
class State:
    """
    What the lines of a site directory add up to.

    `last_seq` is the last number known to be given, `last_stored` the last one that is in a file.
    `run` is the active run with its `counts`; `ids` are those found behind the checkpoint.
    """

    last_seq: int = 0
    last_stored: int = 0
    current: dict[str, Event] = field(factory=dict)
    run: Run | None = None
    counts: Counts = field(factory=Counts)
    ids: list[tuple[str, int]] = field(factory=list)

    def add(self, event: Event, *, is_of_run: bool) -> None:
        """Take account of *event*, found in a file."""
        self.last_seq = max(self.last_seq, event.seq)
        self.last_stored = max(self.last_stored, event.seq)
        if is_of_run and (self.counts.last_seq is None or event.seq > self.counts.last_seq):
            self.counts = self.counts.plus(event.seq, event.seq, 1)
        if event.id is not None:
            self.ids.append((event.id, event.seq))
            if len(self.ids) > 2 * MAX_IDS:
                self.keep_latest_ids()
        if event.make_current:
            known = self.current.get(event.type)
            if known is None or event.seq > known.seq:
                self.current[event.type] = event

    def keep_latest_ids(self) -> None:
        """Let go of the ids that would be forgotten anyway, and put the others in order of seq."""
        self.ids.sort(key=lambda one: one[1])
        del self.ids[:-MAX_IDS]


def recover(layout: Layout, run_files: RunFiles, *, mend: bool) -> State:
    """
    Return the state of the site directory: the checkpoint's, brought up to date from the tails.

    Without a checkpoint that fits the files every line is read. With *mend*, a torn last line is
    cut off and set aside first; without, it is only passed over.
    """
    checkpoint = Checkpoint.read(layout.checkpoint)
    if checkpoint is not None and _fits(layout, checkpoint):
        state = State(
            last_seq=checkpoint.last_seq,
            last_stored=checkpoint.last_stored,
            current=dict(checkpoint.current),
            counts=checkpoint.counts,
        )
        if checkpoint.run is not None:
            state.run = _active_run_in(layout, checkpoint.run)
        sizes = checkpoint.sizes
        paths = _grown_since(layout, checkpoint)
    else:
        if mend:
            # Grown again to the sizes it names, the files would seem to be those it knows.
            layout.checkpoint.unlink(missing_ok=True)
        state = State(last_seq=0 if checkpoint is None else checkpoint.last_seq)
        state.run = next((run for run in reversed(run_files.in_order()) if run.is_active), None)
        sizes = {}
        paths = [path for _, path in layout.site_files()]
        paths += [directory / RUN_LINES for directory in layout.run_directories()]
    _replay(layout, state, paths, sizes, mend=mend)
    return state


def _active_run_in(layout: Layout, directory: str) -> Run | None:
    run = read_run(layout, layout.site_dir / directory)
    return run if run is not None and run.is_active else None


def _fits(layout: Layout, checkpoint: Checkpoint) -> bool:
    """Whether every file still has what the checkpoint knows of it."""
    for name, size in checkpoint.sizes.items():
        path = layout.site_dir / name
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(max(0, size - 1))
                is_whole = file.read(1) == b"\n" if size else True
        except FileNotFoundError:
            is_whole = size == 0
        if not is_whole:
            log.warning("%s has not the %d bytes that were known; reading all lines", path, size)
            return False
    return True


def _grown_since(layout: Layout, checkpoint: Checkpoint) -> list[Path]:
    """Return the files that may have grown since the checkpoint: it names those open then."""
    named = [layout.site_dir / name for name in checkpoint.sizes]
    newest = max((path.name for path in named if path.parent == layout.site_dir), default="")
    newer = [path for _, path in layout.site_files() if path.name > newest]
    return [*named, *newer]


def _replay(
    layout: Layout, state: State, paths: list[Path], sizes: Mapping[str, int], *, mend: bool
) -> None:
    directory = None if state.run is None else state.run.directory
    run_lines = None if directory is None else layout.site_dir / directory / RUN_LINES
    for path in paths:
        if mend:
            mend_tail(layout, path)
        for event in read_events(path, sizes.get(layout.relative(path), 0)):
            state.add(event, is_of_run=path == run_lines)
    state.keep_latest_ids()
    state.current = {type_: one for type_, one in state.current.items() if can_be_written(one)}


def mend_tail(layout: Layout, path: Path) -> Path | None:
    """
    Make the file *path* end with a whole line: a torn one is cut off and kept in `.telemetry/torn`.

    A last line that only lacks its line break is a whole event: it gets one. Returns where the
    torn one is kept, if there was one.
    """
    aside = None
    try:
        end = end_of_lines(path)
        with path.open("rb") as file:
            file.seek(end)
            tail = file.read()
    except FileNotFoundError:
        return None
    if not tail:
        return None
    try:
        parse(tail)
    except DamagedLineError:
        aside = set_aside(layout, path, end, tail)
        log.warning(
            "torn line at the end of %s, offset %d, %d bytes: moved to %s",
            path,
            end,
            len(tail),
            aside,
        )
        os.truncate(path, end)
    else:
        with path.open("ab") as file:
            file.write(b"\n")
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return aside


def set_aside(layout: Layout, path: Path, offset: int, content: bytes) -> Path:
    """Keep *content*, which stood in the file *path* at *offset*, and return where."""
    make_directory(layout.torn)
    name = f"{flat_name(layout.relative(path))}.{offset}"
    number = 0
    while True:
        aside = layout.torn / (f"{name}.{number}" if number else name)
        if not aside.exists():
            write_whole(aside, content)
            return aside
        number += 1
