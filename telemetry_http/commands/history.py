"""`telemetry history` and `telemetry follow`: what was recorded, and what is being recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from telemetry_core.cli.output import json_text, print_json_line, printable
from telemetry_http.commands.target import Place, Record, place_options

_json_option = click.option("--json", "as_json", is_flag=True, help="Print NDJSON.")


def _selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--stream", type=click.Choice(["site"]), help="Only what belongs to no run."),
        click.option("--run", metavar="ID", help="Only events of this run."),
        click.option(
            "--type", "types", metavar="TYPE", multiple=True, help="Only this type (repeatable)."
        ),
    ):
        command = option(command)
    return command


@click.command()
@_selection_options
@click.option("--from", "since", metavar="TIME", help="Only what happened at TIME or later.")
@click.option("--to", "until", metavar="TIME", help="Only what happened before TIME.")
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="SEQ", help="Go on there.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Only the first N.")
@click.option("--last", type=click.IntRange(min=0), metavar="N", help="Only the last N.")
@_json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a head.")
@place_options
def history(
    place: Place, *, as_json: bool, as_csv: bool, types: tuple[str, ...], **selection: Any
) -> None:
    """
    Show what was recorded, the oldest first.

    Times are RFC 3339, as in 2026-03-18T00:05:48Z. Without --json or --csv the lines are type,
    time, seq and data, split by tabs.
    """
    if as_json and as_csv:
        raise click.UsageError("give either --json or --csv, not both")
    show = _print_json if as_json else _csv_printer() if as_csv else _print_line
    with place.open(read_only=True) as target:
        for event in target.history(types=types, **selection):
            show(event)


@click.command()
@_selection_options
@click.option("--after", type=click.IntRange(min=0), metavar="SEQ", help="Begin there, not now.")
@_json_option
@place_options
def follow(place: Place, *, as_json: bool, after: int | None, **selection: Any) -> None:
    """
    Show what is recorded, as it is recorded.

    It goes on until it is interrupted, and outlives a restart of the service: nothing is missed.
    """
    show = _print_json if as_json else _print_line
    with place.open(read_only=True) as target:
        for event in target.follow(after=after, **selection):
            show(event)


def _print_json(event: Record) -> None:
    print_json_line(event)


def _print_line(event: Record) -> None:
    cells = (event["type"], event["ts"], str(event["seq"]), json_text(event["data"]))
    click.echo("\t".join(map(printable, cells)))


def _csv_printer() -> Callable[[Record], None]:
    import csv

    class _Echo:
        def write(self, row: str) -> None:
            click.echo(row, nl=False)

    rows = csv.writer(_Echo())
    rows.writerow(("seq", "ts", "type", "data", "meta"))

    def show(event: Record) -> None:
        data, meta = json_text(event["data"]), json_text(event["meta"])
        rows.writerow((event["seq"], event["ts"], event["type"], data, meta))

    return show
