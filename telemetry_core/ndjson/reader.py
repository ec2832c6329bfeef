"""Reading the history: which parts of which files hold what is selected, in one order of seq."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from attrs import frozen

from telemetry_core.clock import NS, format_ts
from telemetry_core.codec import event_json
from telemetry_core.ndjson.index import Span
from telemetry_core.ndjson.layout import RUN_LINES
from telemetry_core.ndjson.lines import (
    PIECE,
    DamagedLineError,
    backwards,
    end_of_lines,
    first_event,
    is_repeated,
    last_line,
    parse,
    parse_lines,
    read_blocks,
    size_of,
    tell_damage,
)
from telemetry_core.ndjson.passage import PASSAGE, Bounds, Known, Passage, merged

if TYPE_CHECKING:
    from pathlib import Path

    from telemetry_core.events import Event
    from telemetry_core.ndjson.index import Indexes
    from telemetry_core.ndjson.layout import Layout
    from telemetry_core.ndjson.lines import Line
    from telemetry_core.ndjson.runfile import RunFiles
    from telemetry_core.storage import Selection

_WHOLE = Span(0, None)
_UNKNOWN = 2**64
_CANONICAL = len("2026-03-18T00:05:48.955Z")


class Reader:
    """Finds events in the files of one site directory. For any number of threads."""

    def __init__(self, layout: Layout, run_files: RunFiles, indexes: Indexes) -> None:
        self._layout = layout
        self._run_files = run_files
        self._indexes = indexes
        self._known = Known()

    def read(self, selection: Selection, through: int) -> Iterator[Event]:
        """
        Yield what *selection* asks for, in ascending seq, up to the seq *through*.

        That bound makes the answer whole: everything up to it was in the files before the first
        one was looked at, whatever is appended meanwhile.
        """
        search = _Search(selection, through)
        if selection.last is not None:
            return self._last(search, selection.last)
        streams = [
            (one.first_seq, self._forward(one.paths, search)) for one in self._streams(search)
        ]
        return itertools.islice(_merged(streams), selection.limit)

    def read_json(self, selection: Selection, through: int) -> Iterator[bytes] | None:
        """
        Yield what `read` does as blocks of lines, as they stand in the files where that is right.

        `None` is returned where a selection narrows so that each line has to be looked at.
        """
        search = _Search(selection, through)
        if search.is_picky:
            return None
        streams = [
            (one.first_seq, self._passages(one.paths, search)) for one in self._streams(search)
        ]
        return merged(streams)

    def _passages(self, paths: list[Path], search: _Search) -> Iterator[Passage]:
        """Yield what is found in the files of one stream, which follow each other."""
        before: Line | None = None
        whole = b""
        last_seq = 0
        for path, offset, block in self._blocks(paths, search, PASSAGE):
            bounds = self._known.bounds_of(block)
            if bounds is None or bounds.first <= last_seq:
                if whole:
                    before, whole = parse(last_line(whole)), b""
                for line in parse_lines(path, offset, block):
                    if search.wants(line) and not is_repeated(line, before):
                        yield Passage(event_json(line.event()) + b"\n", Bounds(line.seq, line.seq))
                    before = line
                    last_seq = max(last_seq, line.seq)
                continue
            whole, last_seq = block, bounds.last
            passage = Passage(block, bounds)
            if bounds.first <= search.after:
                passage.take_through(search.after)
            if bounds.last > search.through:
                passage.end_at(search.through)
            if not passage.is_empty:
                yield passage

    def _streams(self, search: _Search) -> Iterator[_Stream]:
        """Yield the selected streams that may hold what is searched."""
        selection = search.selection
        if selection.run is None:
            yield _Stream([path for _, path in self._layout.site_files()])
        if selection.stream is not None:
            return
        for directory, run in self._run_files.all():
            if selection.run not in (None, run.run_id):
                continue
            paths = [directory / RUN_LINES]
            # The facts of a run that is active, or was when its writer died, may be behind.
            if run.is_active or run.first_seq is None or run.last_seq is None:
                yield _Stream(paths, run.first_seq or 0)
            elif run.last_seq > search.after:
                yield _Stream(paths, run.first_seq, run.last_seq)

    def _forward(self, paths: list[Path], search: _Search) -> Iterator[Event]:
        """Yield what is found in the files of one stream, which follow each other."""
        before: Line | None = None
        for path, offset, block in self._blocks(paths, search, PIECE):
            for line in parse_lines(path, offset, block):
                # A line that somebody repeated follows the one it repeats.
                if search.wants(line) and not is_repeated(line, before):
                    yield line.event()
                before = line

    def _blocks(
        self, paths: list[Path], search: _Search, block_bytes: int
    ) -> Iterator[tuple[Path, int, bytes]]:
        """Yield blocks of lines that may hold what is searched, with their files and offsets."""
        for path in self._from(paths, search.after):
            # All that is looked for is in front of this; behind it the file may be growing.
            size = size_of(path)
            for span in self._spans(path, search):
                end = size if span.end is None else min(size, span.end)
                for offset, block in read_blocks(path, span.start, end, size=block_bytes):
                    yield path, offset, block

    def _from(self, paths: list[Path], after: int) -> list[Path]:
        """Leave out the files whose successor begins at or before the cursor *after*."""
        if not after:
            return paths
        for index in range(len(paths) - 1, 0, -1):
            first = first_event(paths[index])
            if first is not None and first.seq <= after:
                return paths[index:]
        return paths

    def _spans(self, path: Path, search: _Search) -> list[Span]:
        """Return the parts of a file that may hold what is searched."""
        if not search.is_narrow:
            return [_WHOLE]
        try:
            index = self._indexes.of(path)
        except FileNotFoundError:
            return []
        start = index.start_after(search.after)
        return index.spans(start, search.since_ms, search.until_ms)

    def _last(self, search: _Search, count: int) -> Iterator[Event]:
        streams = [
            (-one.last_seq, self._backward(one.paths, search)) for one in self._streams(search)
        ]
        newest_first = list(itertools.islice(_merged(streams, -1), count))
        yield from reversed(newest_first)

    def _backward(self, paths: list[Path], search: _Search) -> Iterator[Event]:
        before: Line | None = None
        for path in reversed(paths):
            try:
                end = end_of_lines(path)
                spans = self._spans(path, search)
            except FileNotFoundError:
                continue
            for span in reversed(spans):
                # Another process may have written lines since its end was looked for.
                stop = end if span.end is None else min(end, span.end)
                for offset, text in backwards(path, span.start, stop):
                    try:
                        line = parse(text)
                    except DamagedLineError as error:
                        tell_damage(path, offset, text, error)
                        continue
                    if search.wants(line) and not is_repeated(line, before):
                        yield line.event()
                    before = line
            if search.after and self._begins_before(path, search.after):
                return

    def _begins_before(self, path: Path, seq: int) -> bool:
        first = first_event(path)
        return first is not None and first.seq <= seq


@frozen
class _Stream:
    """The files of a stream in order, and the bounds of the seqs in them as far as known."""

    paths: list[Path]
    first_seq: int = 0
    last_seq: int = _UNKNOWN


class _Search:
    """What is looked for, in the form in which lines can be asked for it."""

    def __init__(self, selection: Selection, through: int) -> None:
        self.selection = selection
        self.after = selection.after
        self.through = through
        self.since_ms = _ms(selection.since_ns)
        self.until_ms = _ms(selection.until_ns)
        self._types = frozenset(selection.types)
        self._since = _bound(selection.since_ns, "")
        self._until = _bound(selection.until_ns, "~")
        self._has_times = selection.since_ns is not None or selection.until_ns is not None
        self.is_narrow = self._has_times or bool(self.after)
        ends = (selection.limit, selection.last)
        self.is_picky = self._has_times or bool(selection.types) or ends != (None, None)

    def wants(self, line: Line) -> bool:
        """Whether the event in *line* is looked for, its stream aside."""
        if not self.after < line.seq <= self.through:
            return False
        if self._types and line.type not in self._types:
            return False
        if not self._has_times:
            return True
        ts = line.ts
        if len(ts) >= _CANONICAL and ts[10] == "T" and ts[19] == "." and ts[-1] == "Z":
            return self._since <= ts[:-1] < self._until
        return self.selection.matches(line.event())


def _merged(streams: Iterable[tuple[int, Iterator[Event]]], direction: int = 1) -> Iterator[Event]:
    """
    Merge streams by seq, or against it with the *direction* -1.

    Each comes with a bound before which it has nothing, and is opened when that is reached, so
    that few files are open at a time.
    """
    waiting = [(bound, number, events) for number, (bound, events) in enumerate(streams)]
    if len(waiting) == 1:
        yield from waiting[0][2]
        return
    waiting.sort(key=lambda one: one[:2], reverse=True)
    heads: list[tuple[int, int, Event, Iterator[Event]]] = []
    while heads or waiting:
        while waiting and (not heads or waiting[-1][0] <= heads[0][0]):
            _, number, events = waiting.pop()
            event = next(events, None)
            if event is not None:
                heapq.heappush(heads, (direction * event.seq, number, event, events))
        if heads:
            _, number, event, events = heads[0]
            yield event
            following = next(events, None)
            if following is None:
                heapq.heappop(heads)
            else:
                heapq.heapreplace(heads, (direction * following.seq, number, following, events))


def _ms(ns: int | None) -> int | None:
    return None if ns is None else ns // 1_000_000


def _bound(ns: int | None, otherwise: str) -> str:
    """
    Return an instant as text that compares with the times in lines as the instants do.

    A canonical time has three digits or more; the bound has as few as say the same, because a
    text that goes on is greater than one that ends.
    """
    if ns is None:
        return otherwise
    digits = f"{ns % NS:09d}".rstrip("0").ljust(3, "0")
    return f"{format_ts(ns)[:19]}.{digits}"
