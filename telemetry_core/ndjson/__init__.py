"""The default storage: plain NDJSON files in a site directory. A plugin like any other."""

from __future__ import annotations

from telemetry_core.hookspecs import hookimpl
from telemetry_core.ndjson.settings import NdjsonSettings
from telemetry_core.ndjson.storage import NdjsonStorage
from telemetry_core.storage import StorageType

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
