"""What the plugin signs up: the storage `postgresql://`, and the command beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_core import StorageType, hookimpl
from telemetry_postgres.settings import PostgresSettings

if TYPE_CHECKING:
    import click

    from telemetry_core import Storage


@hookimpl
def telemetry_register_storage() -> StorageType:
    """Sign up `postgresql://`."""
    return StorageType(
        scheme="postgresql",
        summary="a PostgreSQL database: several writers and sites, replication, SQL",
        settings=PostgresSettings,
        open=_open,
    )


@hookimpl
def telemetry_register_commands(cli: click.Group) -> None:
    """Sign up `telemetry postgresql`."""
    from telemetry_postgres.commands import postgresql

    cli.add_command(postgresql)


def _open(settings: PostgresSettings) -> Storage:
    # Loaded when it is used: a command that is about something else starts without psycopg.
    from telemetry_postgres.storage import PostgresStorage

    return PostgresStorage(settings)
