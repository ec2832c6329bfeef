"""Every hook of the core, in order of the life cycle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click
    from cattrs import Converter

    from telemetry_core.collectors import CollectorType
    from telemetry_core.events import Draft, Event
    from telemetry_core.runs import Run
    from telemetry_core.storage import StorageType

PROJECT = "telemetry_core"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def telemetry_register_storage() -> StorageType:  # type: ignore[empty-body]
    """
    Register: return a kind of storage.

    Called when a storage is opened; so it only tells, and opens nothing. The entry point of the
    plugin carries the name of the scheme.
    """


@hookspec
def telemetry_configure_converter(converter: Converter) -> None:
    """
    Prepare: teach *converter* to unstructure types that JSON does not know.

    Called once per converter, before it is first used.
    """


@hookspec
def telemetry_register_commands(cli: click.Group) -> None:
    """
    Prepare: add sub-commands to the `telemetry` command.

    Called once, when the command line starts.
    """


@hookspec
def telemetry_register_collector() -> CollectorType:  # type: ignore[empty-body]
    """
    Register: return a source of readings that can be polled.

    Called once per plugin manager. `telemetry collect NAME` and `telemetry run --collect NAME`
    find it by its name.
    """


@hookspec
def telemetry_prepare_event(draft: Draft) -> Draft | None:
    """
    Prepare: return a draft to record in place of *draft*, or `None` to leave it as it is.

    Called in the recording thread, before the draft is checked; each plugin gets what the one
    before it returned. Raise `InvalidEventError` to refuse the event.
    """


@hookspec
def telemetry_event_recorded(event: Event) -> None:
    """
    Fact: *event* was appended.

    Called in order of seq, outside the recording thread. An error is logged and costs nobody else
    anything; an observer that is too slow misses events, which is logged and counted.
    """


@hookspec
def telemetry_run_started(run: Run) -> None:
    """
    Fact: *run* became the active run.

    Called after it was saved, in one order with the events, outside the recording thread.
    """


@hookspec
def telemetry_run_stopped(run: Run) -> None:
    """
    Fact: *run* stopped.

    Called after it was saved, in one order with the events, outside the recording thread.
    """
