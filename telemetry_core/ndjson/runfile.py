"""`run.json`: the facts of a run, beside its lines."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import orjson
from attrs import asdict

from telemetry_core.clock import format_ts
from telemetry_core.codec import make_converter
from telemetry_core.ndjson.layout import RUN_FACTS, RUN_LINES, write_whole
from telemetry_core.ndjson.lines import first_event, last_event
from telemetry_core.runs import LOST, Run

if TYPE_CHECKING:
    from pathlib import Path

    from telemetry_core.ndjson.layout import Layout

log = logging.getLogger(__name__)

_converter = make_converter()


def write_run(directory: Path, run: Run) -> None:
    """Write the facts of *run* into its *directory*, whole and safe from a power cut."""
    facts = {name: value for name, value in asdict(run).items() if name != "directory"}
    write_whole(directory / RUN_FACTS, orjson.dumps(facts, option=orjson.OPT_INDENT_2) + b"\n")


def read_run(layout: Layout, directory: Path) -> Run | None:
    """
    Return the run kept in *directory*, or `None` if there is none that can be read.

    A directory with lines but without `run.json` was left by an older program: its end was never
    recorded, so the run counts as lost.
    """
    place = layout.relative(directory)
    try:
        facts: dict[str, Any] = orjson.loads((directory / RUN_FACTS).read_bytes())
        return _converter.structure({**facts, "directory": place}, Run)
    except FileNotFoundError:
        return _run_without_facts(directory, place)
    except Exception as error:  # noqa: BLE001  # whatever is in the file, it hides no other run
        log.warning("%s cannot be read: %s", directory / RUN_FACTS, error)
        return None


def _run_without_facts(directory: Path, place: str) -> Run | None:
    path = directory / RUN_LINES
    first, last = first_event(path), last_event(path)
    try:
        changed = format_ts(path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None
    return Run(
        run_id=directory.name,
        started_at=first.ts if first else changed,
        stopped_at=last.ts if last else changed,
        status=LOST,
        reason="no run.json: its end was never recorded",
        directory=place,
        first_seq=first.seq if first else None,
        last_seq=last.seq if last else None,
    )


def all_runs(layout: Layout) -> list[Run]:
    """Return every run below the site directory, in the order they were first started."""
    found = (read_run(layout, directory) for directory in layout.run_directories())
    return sorted(
        (run for run in found if run is not None), key=lambda run: (run.started_at, run.run_id)
    )
