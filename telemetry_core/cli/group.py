"""The group of all sub-commands: made from the plugins, and the one place where errors end."""

from __future__ import annotations

import errno
from typing import Any

import click

from telemetry_core import __version__
from telemetry_core.cli.exits import INTERRUPTED, CommandError, exit_code_of
from telemetry_core.cli.messages import log_to_stderr, show_traceback, verbose_option
from telemetry_core.cli.plugins import list_plugins
from telemetry_core.cli.registered import call_each
from telemetry_core.errors import TelemetryError
from telemetry_core.plugins import Plugins


class Cli(click.Group):
    """
    The `telemetry` command. Its sub-commands are there once the first of them is asked for.

    Commands get the loaded `Plugins` by `click.pass_obj`. What they raise of the error tree, and
    an `OSError`, ends as one line on stderr with an exit code.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all sub-commands, the plugins' ones among them."""
        self._load_plugins(ctx)
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the sub-command *cmd_name*, or `None` if no plugin has it."""
        self._load_plugins(ctx)
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the sub-command; an expected error becomes a message and an exit code."""
        try:
            return super().invoke(ctx)
        except (TelemetryError, OSError) as error:
            if isinstance(error, BrokenPipeError) and error.errno == errno.EPIPE:
                raise  # whoever read stdout has left: click ends quietly
            show_traceback(error)
            raise CommandError(str(error), exit_code_of(error)) from error
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)

    def _load_plugins(self, ctx: click.Context) -> None:
        if ctx.obj is not None:
            return
        log_to_stderr()
        ctx.obj = Plugins()
        ctx.obj.load_installed()
        call_each(ctx.obj, "telemetry_register_commands", cli=self)


def make_cli() -> Cli:
    """Return the `telemetry` command, not yet run."""

    @click.group(cls=Cli, context_settings={"help_option_names": ["-h", "--help"]})
    @click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
    @verbose_option
    def telemetry() -> None:
        """Record telemetry, and see what was recorded."""

    telemetry.add_command(list_plugins)
    return telemetry
