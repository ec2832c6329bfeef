"""What was known when a site directory was last written: from the checkpoint and the tails."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import orjson
from attrs import define, field

from telemetry_core.events import Event
from telemetry_core.ndjson.layout import RUN_LINES, make_directory, write_whole
from telemetry_core.ndjson.lines import (
    DamagedLineError,
    from_stored,
    parse_line,
    read_events,
    stored_line,
)
from telemetry_core.ndjson.log import Counts, Log
from telemetry_core.ndjson.runfile import all_runs, read_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from telemetry_core.ndjson.layout import Layout
    from telemetry_core.runs import Run

log = logging.getLogger(__name__)

_FORMAT = 1
_IDS_SPAN = 4 * 1024 * 1024


@define
class State:
    """What the lines of a site directory add up to."""

    last_seq: int = 0
    current: dict[str, Event] = field(factory=dict)
    counts: dict[str, Counts] = field(factory=dict)
    sizes: dict[str, int] = field(factory=dict)
    run: Run | None = None
    ids: list[Event] = field(factory=list)

    def add(self, name: str, event: Event) -> None:
        """Take account of *event*, found in the file *name*; once more makes no difference."""
        self.last_seq = max(self.last_seq, event.seq)
        counts = self.counts.get(name, Counts())
        if counts.last_seq is None or event.seq > counts.last_seq:
            self.counts[name] = counts.plus(event.seq, event.seq, 1)
        known = self.current.get(event.type)
        if event.make_current and (known is None or event.seq > known.seq):
            self.current[event.type] = event


def recover(layout: Layout, *, mend: bool) -> State:
    """
    Return the state of the site directory: the checkpoint's, brought up to date from the tails.

    Without a usable checkpoint every line is read. With *mend*, a torn last line is cut off and
    set aside first; without, it is only passed over.
    """
    state = _read_checkpoint(layout)
    if state is None:
        state = State()
        paths = [path for _, path in layout.site_files()]
        paths += [directory / RUN_LINES for directory in layout.run_directories()]
        state.run = next((run for run in reversed(all_runs(layout)) if run.is_active), None)
    else:
        paths = _grown_since(layout, state)
        if state.run is not None and not state.run.is_active:
            state.run = None
    for path in paths:
        if mend:
            mend_tail(layout, path)
        _replay(layout, state, path)
    return state


def _grown_since(layout: Layout, state: State) -> list[Path]:
    """Return the files that may have grown since the checkpoint: it names those open then."""
    named = [layout.site_dir / name for name in state.sizes]
    newest = max((path.name for path in named if path.parent == layout.site_dir), default="")
    newer = [path for _, path in layout.site_files() if path.name > newest]
    return [*named, *newer]


def _replay(layout: Layout, state: State, path: Path) -> None:
    name = layout.relative(path)
    start = state.sizes.get(name, 0)
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        log.warning("%s is gone", path)
        return
    if size < start:
        log.warning("%s is shorter than it was: %d bytes, %d were known", path, size, start)
        start = 0
    ids_start = max(0, size - _IDS_SPAN)
    for _, event in read_events(path, start):
        state.add(name, event)
    if ids_start < size and state.ids is not None:
        state.ids += _events_with_ids(path, ids_start)


def _events_with_ids(path: Path, start: int) -> Iterable[Event]:
    """Return the events with an id in the last part of the file, for retries after a restart."""
    found = []
    with path.open("rb") as file:
        file.seek(start)
        for line in file.read().split(b"\n"):
            if b',"id":"' in line:
                try:
                    event = parse_line(line)
                except DamagedLineError:
                    continue
                if event.id is not None:
                    found.append(event)
    return found


def mend_tail(layout: Layout, path: Path) -> None:
    """
    Make the file *path* end with a whole line: a torn one is cut off and kept in `.telemetry/torn`.

    A last line that only lacks its line break is a whole event: it gets one.
    """
    try:
        with path.open("rb") as file:
            end = _end_of_lines(file)
            file.seek(end)
            tail = file.read()
    except FileNotFoundError:
        return
    if not tail:
        return
    try:
        parse_line(tail)
    except DamagedLineError:
        make_directory(layout.torn)
        aside = layout.torn / f"{layout.relative(path).replace('/', '__')}.{end}"
        write_whole(aside, tail)
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


def _end_of_lines(file: Any) -> int:
    """Return the offset behind the last line break of *file*."""
    position = file.seek(0, os.SEEK_END)
    while position > 0:
        start = max(0, position - 64 * 1024)
        file.seek(start)
        found = file.read(position - start).rfind(b"\n")
        if found >= 0:
            return int(start + found + 1)
        position = start
    return 0


def write_checkpoint(
    layout: Layout,
    logs: Iterable[Log],
    run: Run | None,
    current: Mapping[str, Event],
    last_seq: int,
) -> None:
    """
    Write down the state, so that the next start need not read what lies before it.

    Sizes are taken before the current values: what is appended meanwhile is then read again, and
    nothing is missed.
    """
    files = {}
    for one in logs:
        counts, size = one.counts, one.size
        files[layout.relative(one.path)] = {"size": size, "counts": list(counts)}
    state = {
        "format": _FORMAT,
        "files": files,
        "run": None if run is None else run.directory,
        "current": [stored_line(event) for event in list(current.values())],
        "last_seq": last_seq,
    }
    write_whole(layout.checkpoint, orjson.dumps(state) + b"\n")


def _read_checkpoint(layout: Layout) -> State | None:
    try:
        facts = orjson.loads(layout.checkpoint.read_bytes())
        if facts["format"] != _FORMAT:
            log.warning("%s is of format %r; reading all lines", layout.checkpoint, facts["format"])
            return None
        state = State(last_seq=facts["last_seq"])
        for values in facts["current"]:
            event = from_stored(values)
            state.current[event.type] = event
        for name, values in facts["files"].items():
            state.sizes[name] = values["size"]
            state.counts[name] = Counts(*values["counts"])
        if facts["run"] is not None:
            state.run = read_run(layout, layout.site_dir / facts["run"])
    except FileNotFoundError:
        return None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        log.warning("%s cannot be read, reading all lines: %s", layout.checkpoint, error)
        return None
    return state
