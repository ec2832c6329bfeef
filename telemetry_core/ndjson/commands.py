"""`telemetry check`: what only a site directory of files can be asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from telemetry_core.cli.exits import FAILED
from telemetry_core.cli.messages import say
from telemetry_core.cli.output import is_terminal, print_json, print_rows

if TYPE_CHECKING:
    from telemetry_core.ndjson.check import Report


@click.command("check")
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--repair", "is_repair", is_flag=True, help="Set aside what is damaged; keeps it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def check(context: click.Context, *, directory: Path, is_repair: bool, as_json: bool) -> None:
    """
    Read every line of a site DIRECTORY and say what is damaged.

    The exit code is 1 when something is, or was before it was repaired.
    """
    from telemetry_core.ndjson import check as checking
    from telemetry_core.ndjson.layout import Layout

    layout = Layout(directory.absolute())
    look = checking.repair if is_repair else checking.check
    report = look(layout, on_file=lambda name: say(f"reading {name}") if is_terminal() else None)
    if as_json:
        from attrs import asdict

        print_json({"sound": report.is_sound, **asdict(report)})
    else:
        _print(report)
    context.exit(0 if report.is_sound else FAILED)


def _print(report: Report) -> None:
    print_rows(
        ["file", "events", "first seq", "last seq", "gaps"],
        [
            [one.file, *(str(n) for n in (one.events, one.first_seq, one.last_seq, one.gaps))]
            for one in report.files
        ],
    )
    for one in report.damage:
        say(f"damaged: {one.file}, offset {one.offset}, {one.bytes} bytes: {one.reason}")
    for one in report.disorder:
        say(f"out of order: {one.file}, offset {one.offset}: {one.reason}")
    for seq in report.repeated:
        say(f"repeated: seq {seq} stands in more than one line")
    for place in report.unreadable_runs:
        say(f"unreadable: the run.json in {place}")
    for what in report.mended:
        say(f"repaired: {what}")
    say(
        f"{report.events} events in {len(report.files)} files, {report.gaps} seqs not stored;"
        f" {'sound' if report.is_sound else 'damaged'}"
    )
