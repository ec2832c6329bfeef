"""What the migrator adds to the command line. Light to import: every `telemetry` command pays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_core.hookspecs import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def telemetry_register_commands(cli: click.Group) -> None:
    """Add `telemetry migrate` and `telemetry copy`."""
    from telemetry_migrate.commands.copy import copy
    from telemetry_migrate.commands.migrate import migrate

    cli.add_command(migrate)
    cli.add_command(copy)
