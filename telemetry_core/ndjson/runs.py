"""Starting and finishing the run of a site directory."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from attrs import evolve

from telemetry_core.errors import (
    InvalidRunError,
    NoActiveRunError,
    Problem,
    RunActiveError,
    StorageError,
)
from telemetry_core.ndjson.layout import RUN_LINES, make_directory
from telemetry_core.ndjson.lines import read_events
from telemetry_core.ndjson.log import Counts, storage_error
from telemetry_core.ndjson.runfile import read_run, write_run
from telemetry_core.runs import resumed

if TYPE_CHECKING:
    from pathlib import Path

    from telemetry_core.ndjson.writer import Writer
    from telemetry_core.runs import Run


def start_run(writer: Writer, run: Run) -> Run:
    """Start *run* as the contract says."""
    if writer.failure is not None:
        raise writer.failure
    active = active_run(writer)
    if active is not None:
        raise RunActiveError(active)
    directory, before = _place_of(writer, run)
    kept = evolve(resumed(before, run), directory=writer.layout.relative(directory))
    path = directory / RUN_LINES
    with writer.files:
        try:
            make_directory(directory)
            writer.counts = _counts_of(path, before)
            writer.open_log(kept.run_id, path)
            # The checkpoint names the file before run.json makes the run active: from then on no
            # line can be in a file that a restart does not look at.
            writer.run = kept
            writer.checkpoint()
            write_run(directory, kept)
        except OSError as error:
            _leave(writer, kept)
            if before is None:
                _remove_empty(path)
            if isinstance(error, StorageError):
                raise
            raise storage_error(directory, error) from error
        except BaseException:
            _settle(writer, kept)
            raise
    return active_run(writer) or kept


def finish_run(writer: Writer, run: Run) -> Run:
    """End the active run as *run* says, and as the contract does."""
    if writer.failure is not None:
        raise writer.failure
    writer.check_files()
    active = active_run(writer)
    if active is None or active.run_id != run.run_id:
        raise NoActiveRunError(run.run_id)
    kept = evolve(active, stopped_at=run.stopped_at, status=run.status, reason=run.reason)
    with writer.files:
        try:
            writer.sync()
            write_run(writer.layout.site_dir / str(kept.directory), kept)
            _leave(writer, kept)
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise storage_error(writer.layout.site_dir, error) from error
        except BaseException:
            _settle(writer, kept)
            raise
    return kept


def active_run(writer: Writer) -> Run | None:
    """Return the active run with its counts as of now."""
    run, counts = writer.run, writer.counts
    return None if run is None else counted(run, counts)


def counted(run: Run, counts: Counts) -> Run:
    """Return *run* with the counts of its stream."""
    events, first_seq, last_seq = counts
    return evolve(run, events=events, first_seq=first_seq, last_seq=last_seq)


def _leave(writer: Writer, run: Run) -> None:
    """Append no more to the stream of *run*, which a restart will find stopped or never begun."""
    writer.run = None
    one = writer.logs.pop(run.run_id, None)
    if one is not None:
        one.close()


def _settle(writer: Writer, run: Run) -> None:
    """After an interrupt: let *run* be active, or not, as a restart would find it."""
    stands = read_run(writer.layout, writer.layout.site_dir / str(run.directory))
    if stands is None or not stands.is_active:
        _leave(writer, run)


def _remove_empty(path: Path) -> None:
    """Leave nothing behind of a run that could not be started."""
    with contextlib.suppress(OSError):
        if path.stat().st_size == 0:
            path.unlink()
            path.parent.rmdir()


def _place_of(writer: Writer, run: Run) -> tuple[Path, Run | None]:
    """Return the directory for *run* and what is known of a run of that id."""
    layout = writer.layout
    known = writer.run_files.in_order()
    before = next((one for one in known if one.run_id == run.run_id), None)
    wanted = run.directory
    if before is not None and before.directory is not None:
        if wanted is not None and wanted.strip("/") != before.directory:
            message = f"run {run.run_id!r} is kept in {before.directory!r}; leave run_dir out"
            raise InvalidRunError([Problem("$.run_dir", message)])
        wanted = before.directory
    directory = layout.check_run_directory(wanted or run.run_id)
    there = read_run(layout, directory)
    if there is not None and there.run_id != run.run_id:
        message = f"{layout.relative(directory)!r} holds run {there.run_id!r}"
        raise InvalidRunError([Problem("$.run_dir", message)])
    return directory, before


def _counts_of(path: Path, before: Run | None) -> Counts:
    """Return the counts a resumed run goes on from."""
    if before is not None and before.events:
        return Counts(before.events, before.first_seq, before.last_seq)
    counts = Counts()
    for event in read_events(path):
        counts = counts.plus(event.seq, event.seq, 1)
    return counts
