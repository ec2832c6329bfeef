"""Messages: everything that is no data goes to stderr, one line each."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from telemetry_core.cli.output import printable

_VERBOSE: Final = "telemetry.verbose"

Command = TypeVar("Command", bound=Callable[..., Any])


class _ToStderr(logging.Handler):
    """Writes to what is stderr at that moment, so that it may be replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


class _OneLine(logging.Formatter):
    """Says what happened; the traceback only when it was asked for."""

    def __init__(self) -> None:
        super().__init__("telemetry: %(levelname)s: %(message)s")
        self.shows_traceback = False

    def format(self, record: logging.LogRecord) -> str:
        record.levelname = record.levelname.lower()
        if self.shows_traceback:
            return super().format(record)
        plain = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None})
        message = super().format(plain)
        if record.exc_info:
            kind, error, _ = record.exc_info
            message += f": {kind.__name__ if kind else ''}: {error}"
        return printable(message)


_handler = _ToStderr()
_formatter = _OneLine()
_handler.setFormatter(_formatter)


def log_to_stderr() -> None:
    """Show warnings of the packages as messages; doing it twice shows them once."""
    root = logging.getLogger()
    if _handler not in root.handlers:
        root.addHandler(_handler)


def say(message: str) -> None:
    """Tell the user *message*, on stderr."""
    click.echo(message, err=True)


def verbose_option(command: Command) -> Command:
    """Give *command* the option `--verbose`: more messages, and the traceback of an error."""
    return click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        callback=_set_verbose,
        help="Say more, and show the traceback of an error.",
    )(command)


def is_verbose() -> bool:
    """Whether `--verbose` was given, to the command or to `telemetry` itself."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_VERBOSE))


def show_traceback(error: Exception) -> None:
    """Show the traceback of *error* if the user wants to see more."""
    if is_verbose():
        say("".join(traceback.format_exception(error)).rstrip())


def _set_verbose(context: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001
    if value:
        context.meta[_VERBOSE] = True
        _formatter.shows_traceback = True
        logging.getLogger("telemetry_core").setLevel(logging.INFO)
        logging.getLogger("telemetry_http").setLevel(logging.INFO)
