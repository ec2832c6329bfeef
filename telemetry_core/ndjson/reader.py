"""Reading the history: which files hold what is selected, merged into one order of seq."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING

from telemetry_core.ndjson.layout import RUN_LINES
from telemetry_core.ndjson.lines import first_event, last_event, read_events
from telemetry_core.ndjson.runfile import read_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from telemetry_core.events import Event
    from telemetry_core.ndjson.layout import Layout
    from telemetry_core.storage import Selection


def read(layout: Layout, selection: Selection, through: int) -> Iterator[Event]:
    """
    Yield what *selection* asks for, in ascending seq, up to the seq *through*.

    That bound makes the answer whole: everything up to it was in the files before the first one
    was looked at, whatever is appended meanwhile.
    """
    events = _within(_merged(layout, selection), selection, through)
    if selection.last is not None:
        yield from deque(events, maxlen=selection.last)
        return
    if selection.limit == 0:
        return
    for count, event in enumerate(events, 1):
        yield event
        if count == selection.limit:
            return


def last_stored_seq(layout: Layout) -> int:
    """Return the highest seq in the files, as their last lines say."""
    newest = [path for _, path in layout.site_files()[-1:]]
    candidates = [*newest, *(one / RUN_LINES for one in layout.run_directories())]
    ends = (last_event(path) for path in candidates)
    return max((event.seq for event in ends if event is not None), default=0)


def _within(events: Iterable[Event], selection: Selection, through: int) -> Iterator[Event]:
    for event in events:
        if event.seq > through:
            return
        if selection.matches(event):
            yield event


def _merged(layout: Layout, selection: Selection) -> Iterator[Event]:
    """Yield the events of all selected streams by seq, opening each when its turn comes."""
    streams: list[list[Path]] = []
    if selection.run is None:
        streams.append([path for _, path in layout.site_files()])
    if selection.stream is None:
        streams += [[directory / RUN_LINES] for directory in _run_directories(layout, selection)]
    waiting = []
    for number, paths in enumerate(streams):
        rest = _from(paths, selection.after)
        first = first_event(rest[0]) if rest else None
        if first is not None:
            waiting.append((first.seq, number, _chained(rest)))
    if len(waiting) == 1:
        yield from waiting[0][2]
        return
    yield from _merge_in_turn(sorted(waiting, key=lambda one: one[:2]))


def _merge_in_turn(waiting: list[tuple[int, int, Iterator[Event]]]) -> Iterator[Event]:
    """Merge streams sorted by their first seq; a stream is opened when that seq is reached."""
    heads: list[tuple[int, int, Event, Iterator[Event]]] = []
    turn = 0
    while heads or turn < len(waiting):
        while turn < len(waiting) and (not heads or waiting[turn][0] <= heads[0][0]):
            _, number, events = waiting[turn]
            _push(heads, number, events)
            turn += 1
        if heads:
            _, number, event, events = heapq.heappop(heads)
            yield event
            _push(heads, number, events)


def _push(
    heads: list[tuple[int, int, Event, Iterator[Event]]], number: int, events: Iterator[Event]
) -> None:
    event = next(events, None)
    if event is not None:
        heapq.heappush(heads, (event.seq, number, event, events))


def _run_directories(layout: Layout, selection: Selection) -> Iterator[Path]:
    for directory in layout.run_directories():
        if selection.run is None:
            yield directory
        else:
            run = read_run(layout, directory)
            if run is not None and run.run_id == selection.run:
                yield directory


def _from(paths: list[Path], after: int) -> list[Path]:
    """Leave out the files whose successor begins at or before the cursor *after*."""
    start = 0
    for index in range(len(paths) - 1, 0, -1):
        first = first_event(paths[index])
        if first is not None and first.seq <= after:
            start = index
            break
    return paths[start:]


def _chained(paths: list[Path]) -> Iterator[Event]:
    for path in paths:
        for _, event in read_events(path):
            yield event
