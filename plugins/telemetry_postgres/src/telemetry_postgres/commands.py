"""`telemetry postgresql`: what only a database can be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from telemetry_core import Plugins
    from telemetry_postgres.storage import PostgresStorage


@click.group()
def postgresql() -> None:
    """Make the tables, the views and the days of a PostgreSQL storage."""


@postgresql.command()
@click.option("--schema", "name", default="telemetry", show_default=True, help="Where they stand.")
@click.option("--from", "version", default=0, show_default=True, help="The version there is now.")
def schema(name: str, version: int) -> None:
    """
    Print the SQL that makes the tables.

    For their owner to run, where a service's own role may only read and write.
    """
    from telemetry_postgres.schema import script
    from telemetry_postgres.settings import PostgresSettings

    try:
        PostgresSettings(url="postgresql://", schema=name)
    except ValueError as error:
        raise click.BadParameter(f"{name!r} is no schema: a-z 0-9 _ are") from error
    click.echo(script(name, version=version))


@postgresql.command()
@click.argument("url")
@click.argument("type_", metavar="TYPE")
@click.option("--name", help="What the view is called; else as the type.")
@click.pass_obj
def view(plugins: Plugins, *, url: str, type_: str, name: str | None) -> None:
    """
    Make a view of one TYPE of event with a column for each field.

    The columns are those of its last thousand events. Called again it is made anew.
    """
    with _open(plugins, url) as storage:
        click.echo(storage.make_view(type_, name))


@postgresql.command()
@click.argument("url")
@click.pass_obj
def days(plugins: Plugins, *, url: str) -> None:
    """
    Make the partitions of the next days, and remove the old ones if `?keep_days=` says so.

    A service does this by itself if its role owns the tables; else let the owner call it daily.
    """
    _open(plugins, url).close()


def _open(plugins: Plugins, url: str) -> PostgresStorage:
    from telemetry_postgres.storage import PostgresStorage

    storage = plugins.open_storage(url, {})
    if not isinstance(storage, PostgresStorage):
        storage.close()
        raise click.UsageError("that is no postgresql:// storage")
    return storage
