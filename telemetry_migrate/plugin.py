"""The `migrate` command: its place and its options, until the migrator is there."""

from __future__ import annotations

import click

from telemetry_core.cli.exits import CommandError
from telemetry_core.cli.messages import verbose_option
from telemetry_core.hookspecs import hookimpl


@hookimpl
def telemetry_register_commands(cli: click.Group) -> None:
    """Add `telemetry migrate`."""
    cli.add_command(migrate)


@click.command()
@click.option("--source", required=True, metavar="DIR", help="The json_store directory of PanDB.")
@click.option("--dest", required=True, metavar="DIR", help="Where to write the NDJSON files.")
@verbose_option
def migrate(*, source: str, dest: str) -> None:
    """Bring in the files of PanDB (to come)."""
    raise CommandError(
        f"cannot migrate {source!r} to {dest!r} yet: the migrator comes with a coming release;"
        " nothing was written"
    )
