"""Strays: what stands in a file that its writer did not account for, or is gone from it."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from telemetry_core.ndjson.layout import FILE_MODE, make_directory, write_all
from telemetry_core.ndjson.lines import parse, read_events
from telemetry_core.ndjson.recovery import mend_tail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from telemetry_core.events import Event
    from telemetry_core.ndjson.layout import Layout
    from telemetry_core.ndjson.log import Log

log = logging.getLogger(__name__)


def account_for(layout: Layout, one: Log) -> Iterator[Event]:
    """
    Put right a file that is not as its writer left it, and return the events it gained.

    A file that somebody removed, renamed or replaced is made anew, with the lines that were
    written since it was last seen in place: nobody could read those any more. What somebody cut
    off is gone. Lines that an interrupted append, or somebody else, left at the end are events
    like any other; half a line is set aside. Some of the events may be known already, and *one*
    stays as it is: being interrupted before they are accounted for does no harm.

    Raises:
        OSError: It cannot be put right.
    """
    try:
        facts = os.lstat(one.path)
    except FileNotFoundError:
        facts = None
    if facts is None or not one.is_same_file(facts):
        lines = one.read(one.seen, one.size)
        log.error(
            "%s was removed, renamed or replaced while it was written; a new file goes on"
            " with the last %d bytes of it",
            one.path,
            len(lines),
        )
        _append_to(layout, one, lines)
        return read_events(one.path)
    if facts.st_size < one.size:
        log.error("%s was cut from %d to %d bytes by somebody", one.path, one.size, facts.st_size)
    mend_tail(layout, one.path)
    return read_events(one.path, min(one.seen, facts.st_size))


def _append_to(layout: Layout, one: Log, lines: bytes) -> None:
    """Append those of *lines* to the file at the path of *one* that are not in it."""
    make_directory(one.path.parent)
    mend_tail(layout, one.path)
    missing = {parse(line).seq: line for line in lines.splitlines(keepends=True)}
    for event in read_events(one.path):
        missing.pop(event.seq, None)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(one.path, flags, FILE_MODE)
    try:
        write_all(fd, b"".join(missing.values()))
        os.fsync(fd)
    finally:
        os.close(fd)
