"""`telemetry current`: the latest event of each type, once or as it changes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping

import click

from telemetry_core.cli.exits import NOT_FOUND, CommandError
from telemetry_core.cli.messages import say
from telemetry_core.cli.output import (
    is_terminal,
    json_text,
    print_json,
    print_json_line,
    print_line,
    print_rows,
)
from telemetry_http.commands.picture import keep_up_to_date, table
from telemetry_http.commands.target import Place, Record, Target, place_options


@click.command()
@click.argument("type_", metavar="[TYPE]", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on, and show what changes.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=0.05),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look with --follow.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --follow, NDJSON.")
@place_options
def current(
    place: Place, *, type_: str | None, follow: bool, interval_s: float, as_json: bool
) -> None:
    """
    Show the latest event of each type, or of TYPE.

    In a terminal it is a table; otherwise lines of type, time, seq and data, split by tabs.
    --follow outlives a restart of the service.
    """
    with place.open(read_only=True) as target:
        if not follow:
            _show(_chosen(target, type_), type_, as_json=as_json)
        elif as_json or not is_terminal() or os.environ.get("TERM") == "dumb":
            for event in _changes(target, type_, interval_s):
                _print_event(event, as_json=as_json)
        else:
            keep_up_to_date(_looks(target, type_, interval_s))


def _chosen(target: Target, type_: str | None) -> dict[str, Record]:
    events = target.current()
    if type_ is None:
        return events
    return {type_: events[type_]} if type_ in events else {}


def _show(events: Mapping[str, Record], type_: str | None, *, as_json: bool) -> None:
    if type_ is not None and not events:
        raise CommandError(f"no current event of type {type_!r}", NOT_FOUND)
    if as_json:
        print_json(events if type_ is None else events[type_])
    elif not events:
        say("nothing was recorded yet")
    elif is_terminal():
        print_rows(*table(events))
    else:
        for event in events.values():
            _print_event(event, as_json=False)


def _print_event(event: Record, *, as_json: bool) -> None:
    if as_json:
        print_json_line(event)
    else:
        print_line([event["type"], event["ts"], str(event["seq"]), json_text(event["data"])])


def _changes(target: Target, type_: str | None, interval_s: float) -> Iterator[Record]:
    """Yield what is current and then what becomes so, in the order it was recorded."""
    shown: dict[str, int] = {}
    before: str | None = None
    for events, trouble in _looks(target, type_, interval_s):
        if trouble != before:
            say("the service answers again" if trouble is None else f"{trouble}; trying again")
        before = trouble
        for event in sorted(events.values(), key=lambda event: event["seq"]):
            # Not "higher than before": a site that was made anew counts from 1 again.
            if shown.get(event["type"]) != event["seq"]:
                shown[event["type"]] = event["seq"]
                yield event


def _looks(
    target: Target, type_: str | None, interval_s: float
) -> Iterator[tuple[dict[str, Record], str | None]]:
    """
    Yield what is current every *interval_s* seconds, and why it could not be asked for just now.

    Raises:
        ConnectionError: Nobody answered the first time.
    """
    events = _chosen(target, type_)
    trouble: str | None = None
    while True:
        yield events, trouble
        time.sleep(interval_s)
        try:
            events, trouble = _chosen(target, type_), None
        except (ConnectionError, CommandError) as error:
            trouble = str(error)
