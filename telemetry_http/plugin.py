"""What the service adds to the command line. Light to import: every `telemetry` command pays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_core.hookspecs import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def telemetry_register_commands(cli: click.Group) -> None:
    """Add the commands that run the service and talk to it, or to a storage without one."""
    from telemetry_http.commands.collect import collect
    from telemetry_http.commands.current import current
    from telemetry_http.commands.history import follow, history
    from telemetry_http.commands.record import record
    from telemetry_http.commands.run import run
    from telemetry_http.commands.runs import runs
    from telemetry_http.commands.stop import stop

    for command in (run, stop, current, record, history, follow, runs, collect):
        cli.add_command(command)
