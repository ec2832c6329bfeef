"""Exit codes of the migrating commands, beside those of the core."""

from __future__ import annotations

from typing import Final

from telemetry_core.cli.exits import NOT_FOUND, USAGE, CommandError, exit_code_of
from telemetry_migrate.errors import (
    DivergedError,
    ForeignEventsError,
    MigrateError,
    SourceNotFoundError,
    SourceSettingsError,
    TargetExistsError,
    UnknownSourceError,
)

REJECTED: Final = 6
EXISTS: Final = 7
DIFFERS: Final = 8

_CODES: Final = (
    ((UnknownSourceError, SourceSettingsError), USAGE),
    ((SourceNotFoundError,), NOT_FOUND),
    ((TargetExistsError, ForeignEventsError, DivergedError), EXISTS),
)


def command_error(error: MigrateError) -> CommandError:
    """Return the *error* as a command ends with it: its message and an exit code."""
    code = next((code for kinds, code in _CODES if isinstance(error, kinds)), exit_code_of(error))
    return CommandError(str(error), code)
