"""Strays: what stands in a file that its writer did not account for, or is gone from it."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from telemetry_core.ndjson.layout import FILE_MODE, make_directory, write_all
from telemetry_core.ndjson.lines import read_events
from telemetry_core.ndjson.recovery import mend_tail

if TYPE_CHECKING:
    from telemetry_core.events import Event
    from telemetry_core.ndjson.layout import Layout
    from telemetry_core.ndjson.log import Log

log = logging.getLogger(__name__)


def account_for(layout: Layout, one: Log) -> list[Event]:
    """
    Put right a file that is not as its writer left it, and return the events it gained.

    A file that somebody removed, renamed or replaced is made anew, with the lines that were
    written since it was last seen in place: nobody could read those any more. What somebody cut
    off is gone. Lines that an interrupted append, or somebody else, left at the end are events
    like any other; half a line is set aside.

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
        return []
    if facts.st_size < one.size:
        log.error("%s was cut from %d to %d bytes by somebody", one.path, one.size, facts.st_size)
    mend_tail(layout, one.path)
    one.size = os.fstat(one.fd).st_size
    return list(read_events(one.path, min(one.seen, one.size)))


def _append_to(layout: Layout, one: Log, lines: bytes) -> None:
    make_directory(one.path.parent)
    mend_tail(layout, one.path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(one.path, flags, FILE_MODE)
    try:
        write_all(fd, lines)
        os.fsync(fd)
    finally:
        os.close(fd)
