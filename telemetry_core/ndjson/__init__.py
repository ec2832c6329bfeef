"""The default storage: plain NDJSON files in a site directory. A plugin like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_core.hookspecs import hookimpl
from telemetry_core.ndjson.settings import NdjsonSettings
from telemetry_core.ndjson.storage import NdjsonStorage
from telemetry_core.storage import StorageType

if TYPE_CHECKING:
    import click

__all__ = ["NdjsonSettings", "NdjsonStorage"]


@hookimpl
def telemetry_register_storage() -> StorageType:
    """Sign up `ndjson:` and plain paths."""
    return StorageType(
        scheme="ndjson",
        summary="one JSON object per line, one file per observing day and per run",
        settings=NdjsonSettings,
        open=NdjsonStorage,
    )


@hookimpl
def telemetry_register_commands(cli: click.Group) -> None:
    """Add `telemetry check`."""
    from telemetry_core.ndjson.commands import check

    cli.add_command(check)
