"""`telemetry copy`: from any source or storage to any storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from telemetry_core.cli.exits import CommandError
from telemetry_core.cli.messages import say, verbose_option
from telemetry_core.cli.output import print_json, print_rows
from telemetry_migrate.commands.bar import progress_bar
from telemetry_migrate.commands.exits import REJECTED, command_error

if TYPE_CHECKING:
    from telemetry_core.plugins import Plugins


@click.command()
@click.argument("source", metavar="[FROM]", required=False)
@click.argument("target", metavar="[TO]", required=False)
@click.option("--verify", is_flag=True, help="Read both storages again and compare them.")
@click.option(
    "--rejects", metavar="FILE", help="Where to write what was rejected, with the reason."
)
@click.option("--sources", is_flag=True, help="List the kinds of source there are.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
@verbose_option
@click.pass_obj
def copy(
    plugins: Plugins,
    *,
    source: str | None,
    target: str | None,
    verify: bool,
    rejects: str | None,
    sources: bool,
    as_json: bool,
) -> None:
    """
    Copy everything of FROM to the storage TO.

    A storage (a directory, or a URL, also that of a running service) is copied as it is, with its
    numbers, runs and current values; called again it goes on where it ended. Any other source is
    NAME:PLACE?OPTION=VALUE, as csv:weather.csv?time=date, and its events get new numbers. So do
    those of a storage when TO only gives its own.

    Exit codes: 0 all is there, 2 a wrong name or option, 3 no source, 5 a storage is in use, 6
    something was rejected, 7 TO holds something else.
    """
    from attrs import asdict

    from telemetry_migrate.errors import MigrateError
    from telemetry_migrate.sources import source_types
    from telemetry_migrate.transfer import copy as copy_all

    if sources:
        print_rows(
            ["source", "summary"],
            [[kind.name, kind.summary] for kind in source_types(plugins).values()],
        )
        return
    if source is None or target is None:
        raise click.UsageError("say what to copy and where to: telemetry copy FROM TO")
    try:
        with progress_bar() as show:
            report = copy_all(
                source, target, verify=verify, rejects=rejects, progress=show, plugins=plugins
            )
    except MigrateError as error:
        raise command_error(error) from error
    if as_json:
        print_json(asdict(report))
    say(
        f"{report.read} read = {report.written} written"
        f" + {report.already_there} already there + {report.rejected} rejected,"
        f" {report.runs} runs, last seq {report.last_seq}"
    )
    if report.is_recorded_anew:
        say(
            "recorded anew, in the site stream of TO and under its own numbers: meta tells where"
            " each event came from; runs and current values were not copied"
        )
    if report.rejected:
        where = f": see {rejects}" if rejects else "; --rejects FILE keeps them"
        raise CommandError(f"{report.rejected} records were rejected{where}", REJECTED)
