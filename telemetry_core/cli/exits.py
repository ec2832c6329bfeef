"""Exit codes, and the error by which a command ends with one."""

from __future__ import annotations

from typing import Final

import click

from telemetry_core.cli.output import printable
from telemetry_core.cli.registered import UnknownCollectorError
from telemetry_core.errors import (
    NoActiveRunError,
    SettingsError,
    StorageInUseError,
    UnknownRunError,
    UnknownStorageError,
)

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
UNREACHABLE: Final = 4
IN_USE: Final = 5
INTERRUPTED: Final = 130

_CODES: Final = (
    ((UnknownStorageError, UnknownCollectorError, SettingsError), USAGE),
    ((UnknownRunError, NoActiveRunError), NOT_FOUND),
    ((StorageInUseError,), IN_USE),
    ((ConnectionError,), UNREACHABLE),
)
"""The first match counts."""


class CommandError(click.ClickException):
    """A command cannot do what it was asked: one line on stderr, and an exit code."""

    exit_code: int  # type: ignore[misc] # click has one for the class, we have one for each error

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(printable(message))
        self.exit_code = exit_code


def exit_code_of(error: Exception) -> int:
    """Return the exit code for an expected *error* that nothing handled."""
    return next((code for kinds, code in _CODES if isinstance(error, kinds)), FAILED)
