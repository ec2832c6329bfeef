"""`run.json`: the facts of a run, beside its lines."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import orjson
from attrs import asdict

from telemetry_core.codec import make_converter
from telemetry_core.errors import OutcomeUnknownError
from telemetry_core.ndjson.layout import RUN_FACTS, RUN_LINES, sync_directory, write_whole
from telemetry_core.ndjson.lines import first_event, last_event
from telemetry_core.ndjson.log import storage_error
from telemetry_core.runs import LOST, Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from telemetry_core.ndjson.layout import Layout

log = logging.getLogger(__name__)

_converter = make_converter()


def write_run(directory: Path, run: Run) -> None:
    """
    Write the facts of *run* into its *directory*, whole and safe from a power cut.

    Raises:
        StorageFullError, StorageUnavailableError: It could not be written; the facts of before
            stand.
        OutcomeUnknownError: Nobody can say which of them a power cut would leave.
    """
    path = directory / RUN_FACTS
    facts = {name: value for name, value in asdict(run).items() if name != "directory"}
    before = _content_of(path)
    try:
        write_whole(path, orjson.dumps(facts, option=orjson.OPT_INDENT_2) + b"\n")
    except OSError as error:
        try:
            _put_back(path, before)
        except OSError as worse:
            reason = f"{error.strerror or error}, and what it said before cannot be put back"
            raise OutcomeUnknownError(str(path), reason) from worse
        raise storage_error(path, error) from error


def _content_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _put_back(path: Path, content: bytes | None) -> None:
    """Make the file hold *content* again, or be gone again, if it is not so."""
    if _content_of(path) == content:
        return
    if content is None:
        path.unlink()
        sync_directory(path.parent)
    else:
        write_whole(path, content)


def read_run(layout: Layout, directory: Path) -> Run | None:
    """
    Return the run kept in *directory*, or `None` if there is none.

    A directory with lines but without a `run.json` that can be read was left by an older program,
    or was damaged: the end of the run is not known, so it counts as lost.
    """
    place = layout.relative(directory)
    try:
        return facts_of(layout, directory)
    except FileNotFoundError:
        return _run_without_facts(directory, place, "no run.json: its end was never recorded")
    except Exception as error:  # noqa: BLE001  # whatever is in the file, it hides no other run
        log.warning("%s cannot be read: %s", directory / RUN_FACTS, error)
        return _run_without_facts(directory, place, "its run.json cannot be read")


def facts_of(layout: Layout, directory: Path) -> Run:
    """
    Return the run that the `run.json` in *directory* tells of.

    Raises:
        Exception: There is none, or it cannot be read, for whatever reason.
    """
    facts: dict[str, Any] = orjson.loads((directory / RUN_FACTS).read_bytes())
    return _converter.structure({**facts, "directory": layout.relative(directory)}, Run)


class RunFiles:
    """The runs of a site directory; `run.json` is read again when it changed."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._known: dict[Path, tuple[tuple[int, int, int], Run]] = {}

    def all(self) -> Iterator[tuple[Path, Run]]:
        """Yield every run below the site directory, with its directory."""
        for directory in self._layout.run_directories():
            run = self._run_in(directory)
            if run is not None:
                yield directory, run

    def in_order(self) -> list[Run]:
        """Return every run below the site directory, in the order they were first started."""
        return sorted((run for _, run in self.all()), key=lambda run: (run.started_at, run.run_id))

    def _run_in(self, directory: Path) -> Run | None:
        try:
            facts = (directory / RUN_FACTS).stat()
        except OSError:
            return read_run(self._layout, directory)
        version = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
        known = self._known.get(directory)
        if known is not None and known[0] == version:
            return known[1]
        run = read_run(self._layout, directory)
        if run is not None:
            self._known[directory] = (version, run)
        return run


def _run_without_facts(directory: Path, place: str, reason: str) -> Run | None:
    path = directory / RUN_LINES
    first, last = first_event(path), last_event(path)
    if first is None or last is None:
        # Its start was interrupted before it became the active run.
        return None
    return Run(
        run_id=directory.name,
        started_at=first.ts,
        stopped_at=last.ts,
        status=LOST,
        reason=reason,
        directory=place,
        first_seq=first.seq,
        last_seq=last.seq,
    )
