"""Retention: removing whole past days and stopped runs when they are too old or take too much."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import orjson
from attrs import define, frozen

from telemetry_core.clock import NS, Clock, format_ts, instant_ns, local_zone, next_noon_ns
from telemetry_core.ndjson.layout import FILE_MODE, RUN_FACTS, RUN_LINES, sync_directory, write_all
from telemetry_core.ndjson.lines import first_event, last_event
from telemetry_core.ndjson.log import NO_ROOM

if TYPE_CHECKING:
    from pathlib import Path

    from telemetry_core.ndjson.layout import Layout
    from telemetry_core.ndjson.runfile import RunFiles
    from telemetry_core.ndjson.settings import NdjsonSettings
    from telemetry_core.ndjson.writer import Writer

log = logging.getLogger(__name__)

_DAY_NS = 24 * 3600 * NS
_BLOCK = 512


@frozen
class _Candidate:
    """A past day or a stopped run: its files, when it ended, the bytes of the disk it takes."""

    lines: Path
    files: tuple[Path, ...]
    ended_ns: int
    size: int


@define
class _Disk:
    """The bytes of a disk that are used, and of those that ordinary users may use at all."""

    used: int
    size: int

    @classmethod
    def of(cls, path: Path) -> _Disk:
        """Return the disk that *path* is on, as `df` has it."""
        room = os.statvfs(path)
        used = room.f_blocks - room.f_bfree
        return cls(used * room.f_frsize, (used + room.f_bavail) * room.f_frsize)

    @property
    def percent(self) -> float:
        """How much of it is used."""
        return 100.0 * self.used / self.size if self.size else 100.0


class Retention:
    """
    Removes what the settings do not let keep, the oldest first, and writes down what it removed.

    A file that holds the last value of a type stays, whatever its age, so that current values can
    always be made again from the lines.
    """

    def __init__(
        self, layout: Layout, settings: NdjsonSettings, run_files: RunFiles, clock: Clock
    ) -> None:
        self._layout = layout
        self._run_files = run_files
        self._clock = clock
        self._zone = local_zone(settings.timezone)
        self._keep_ns = None if settings.keep_days is None else int(settings.keep_days * _DAY_NS)
        self._keep_bytes = settings.keep_bytes
        self._keep_percent = settings.keep_percent
        self._told: set[Path] = set()

    def apply(self, writer: Writer) -> list[Path]:
        """Remove what has to go, and return the files of lines that are gone."""
        if self._keep_ns is self._keep_bytes is self._keep_percent is None:
            return []
        removed = []
        candidates = sorted(self._candidates(writer), key=lambda one: one.ended_ns)
        newest = {path for _, path in self._layout.site_files()[-1:]}
        newest |= {one.path for one in list(writer.logs.values())}
        total = sum(one.size for one in candidates) + _size_of(*newest)
        disk = _Disk.of(self._layout.site_dir)
        for one in candidates:
            reason = self._reason(one, total, disk)
            if reason is None:
                continue
            with writer.files:  # a run may be resumed just now
                in_use = {each.path for each in writer.logs.values()}
                if one.lines in in_use or self._is_needed(one, writer):
                    continue
                self._remove(one, reason)
                writer.closed_days.pop(self._layout.relative(one.lines), None)
            removed.append(one.lines)
            total -= one.size
            # Counted here: the disk has the room back when the last reader has let go of the file.
            disk.used -= one.size
        return removed

    def _candidates(self, writer: Writer) -> Iterator[_Candidate]:
        in_use = {one.path for one in list(writer.logs.values())}
        for day, path in self._layout.site_files()[:-1]:
            if path not in in_use:
                yield _Candidate(path, (path,), next_noon_ns(day, self._zone), _size_of(path))
        for directory, run in self._run_files.all():
            lines = directory / RUN_LINES
            if run.is_active or lines in in_use or run.stopped_at is None:
                continue
            files = (directory / RUN_FACTS, lines)
            try:
                ended_ns = instant_ns(run.stopped_at)
            except ValueError:
                continue
            yield _Candidate(lines, files, ended_ns, _size_of(*files))

    def _reason(self, one: _Candidate, total: int, disk: _Disk) -> str | None:
        if self._keep_ns is not None and one.ended_ns < self._clock() - self._keep_ns:
            return f"older than {self._keep_ns / _DAY_NS:g} days"
        if self._keep_bytes is not None and total > self._keep_bytes:
            return f"all lines take {total} bytes, {self._keep_bytes} are to be kept"
        if self._keep_percent is not None and disk.percent > self._keep_percent:
            allowed = f"{self._keep_percent:g} % are allowed"
            return f"{disk.percent:.1f} % of the disk are used, {allowed}"
        return None

    def _is_needed(self, one: _Candidate, writer: Writer) -> bool:
        first, last = first_event(one.lines), last_event(one.lines)
        if first is None or last is None:
            return False
        run_id = first.run_id
        for event in list(writer.current.values()):
            if (
                event.store_permanently
                and first.seq <= event.seq <= last.seq
                and event.run_id == run_id
            ):
                if one.lines not in self._told:
                    self._told.add(one.lines)
                    log.warning("%s is kept: it has the last value of %r", one.lines, event.type)
                return True
        return False

    def _remove(self, one: _Candidate, reason: str) -> None:
        last = last_event(one.lines)
        facts = {
            "at": format_ts(self._clock()),
            "file": self._layout.relative(one.lines),
            "bytes": one.size,
            "last_seq": None if last is None else last.seq,
            "reason": reason,
        }
        try:
            # Written down first: a follower must not take the gap for silence.
            self._tell(facts)
            self._unlink(one)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            self._unlink(one)
            self._tell(facts)
        log.warning("removed %s, %d bytes: %s", one.lines, one.size, reason)

    def _tell(self, facts: dict[str, object]) -> None:
        """Write down what is removed, safe from a power cut."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self._layout.removed, flags, FILE_MODE)
        try:
            # A line break first: what an interrupted write left behind spoils no line of this one.
            write_all(fd, b"\n" + orjson.dumps(facts) + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)
        sync_directory(self._layout.private)

    def _unlink(self, one: _Candidate) -> None:
        for path in (*one.files, self._layout.index_of(one.lines)):
            path.unlink(missing_ok=True)
        directory = one.lines.parent
        sync_directory(directory)
        if directory != self._layout.site_dir:
            with contextlib.suppress(OSError):  # something of somebody else is in there
                directory.rmdir()


def removed_through(layout: Layout) -> int:
    """Return the highest seq that was removed from the files, 0 if none was."""
    try:
        lines = layout.removed.read_bytes().splitlines()
    except FileNotFoundError:
        return 0
    seqs = []
    for line in filter(None, lines):
        try:
            seqs.append(orjson.loads(line)["last_seq"] or 0)
        except (ValueError, KeyError, TypeError):
            log.warning("a damaged line in %s was passed over", layout.removed)
    return max(seqs, default=0)


def _size_of(*paths: Path) -> int:
    """Return the bytes that files take on the disk, which may be more or fewer than they hold."""
    size = 0
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_blocks * _BLOCK
    return size
