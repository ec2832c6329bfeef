"""What psycopg raises, as the errors that the contract names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import psycopg
from psycopg import errors

from telemetry_core import (
    OutcomeUnknownError,
    StorageError,
    StorageFullError,
    StorageReadOnlyError,
    StorageUnavailableError,
)

RETRY_AFTER_S: Final = 1.0


@contextlib.contextmanager
def told_as_ours(place: str) -> Iterator[None]:
    """Raise what psycopg raises here as an error of the storage at *place*: nothing was kept."""
    try:
        yield
    except psycopg.Error as error:
        raise refusal(error, place) from error


def refusal(error: psycopg.Error, place: str) -> StorageError:
    """Return the error that says why nothing was kept, or nothing read."""
    reason = reason_of(error)
    match error:
        case errors.DiskFull() | errors.OutOfMemory():
            return StorageFullError(place, reason)
        case errors.InsufficientPrivilege() | errors.ReadOnlySqlTransaction():
            return StorageReadOnlyError(place)
        case errors.UndefinedTable() | errors.InvalidSchemaName() | errors.UndefinedColumn():
            return StorageUnavailableError(place, f"its tables are not ours: {reason}")
        case _:
            return StorageUnavailableError(place, reason, RETRY_AFTER_S)


def unknown_outcome(error: psycopg.Error, place: str) -> OutcomeUnknownError:
    """Return the error for a connection that was lost behind the commit."""
    return OutcomeUnknownError(place, f"the connection was lost: {reason_of(error)}")


def reason_of(error: psycopg.Error) -> str:
    """Return what the server, or libpq, says of it, on one line."""
    said = error.diag.message_primary or str(error) or type(error).__name__
    return " ".join(said.split())
