"""`telemetry runs`: see, start and stop runs."""

from __future__ import annotations

from typing import Any

import click

from telemetry_core.cli.exits import NOT_FOUND, CommandError
from telemetry_core.cli.messages import say
from telemetry_core.cli.output import json_text, print_json, print_rows
from telemetry_http.commands.target import Place, Record, place_options

_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group()
def runs() -> None:
    """List, show, start and stop runs."""


@runs.command("list")
@_json_option
@place_options
def list_runs(place: Place, *, as_json: bool) -> None:
    """List all runs in the order they were first started."""
    with place.open(read_only=True) as target:
        found = target.runs()
    if as_json:
        print_json(found)
        return
    if not found:
        say("no run was started yet")
        return
    print_rows(
        ["run", "status", "started", "stopped", "events", "reason"],
        [
            [
                run["run_id"],
                run["status"],
                run["started_at"],
                run["stopped_at"] or "-",
                str(run["events"]),
                run["reason"] or "-",
            ]
            for run in found
        ],
    )


@runs.command("show")
@click.argument("run_id", metavar="[ID]", required=False)
@_json_option
@place_options
def show_run(place: Place, *, run_id: str | None, as_json: bool) -> None:
    """Show one run: the one of that ID, or the active one."""
    with place.open(read_only=True) as target:
        if run_id is not None:
            run = target.find_run(run_id)
        else:
            active = [each for each in target.runs() if each["status"] == "active"]
            if not active:
                raise CommandError("no run is active", NOT_FOUND)
            run = active[0]
    _print_run(run, as_json=as_json)


@runs.command("start")
@click.argument("run_id", metavar="[ID]", required=False)
@click.option(
    "--meta", "meta", metavar="KEY=VALUE", multiple=True, help="Say more about it (repeatable)."
)
@_json_option
@place_options
def start_run(place: Place, *, run_id: str | None, meta: tuple[str, ...], as_json: bool) -> None:
    """
    Start a run called ID, or by the next number; an ID used before is resumed.

    The VALUE of --meta is JSON where it can be read as such (3, true), else text.
    """
    facts = dict(_key_and_value(each) for each in meta)
    with place.open(read_only=False) as target:
        run = target.start_run(run_id, facts)
    _print_run(run, as_json=as_json)


@runs.command("stop")
@click.option(
    "--status",
    type=click.Choice(["completed", "failed", "aborted", "lost"]),
    default="completed",
    show_default=True,
    help="How it ended.",
)
@click.option("--reason", metavar="TEXT", help="Why it ended so.")
@_json_option
@place_options
def stop_run(place: Place, *, status: str, reason: str | None, as_json: bool) -> None:
    """Stop the active run."""
    with place.open(read_only=False) as target:
        run = target.stop_run(status, reason)
    _print_run(run, as_json=as_json)


def _print_run(run: Record, *, as_json: bool) -> None:
    if as_json:
        print_json(run)
        return
    shown = {key: value for key, value in run.items() if value is not None}
    print_rows(
        ["what", "value"],
        [
            [key, value if isinstance(value, str) else json_text(value)]
            for key, value in shown.items()
        ],
    )


def _key_and_value(text: str) -> tuple[str, Any]:
    from telemetry_core import InvalidEventError, MalformedJSONError
    from telemetry_core.codec import read_json

    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.UsageError(f"--meta takes KEY=VALUE, not {text!r}")
    try:
        return key, read_json(value)
    except (MalformedJSONError, InvalidEventError):
        return key, value
