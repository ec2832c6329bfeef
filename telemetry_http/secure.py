"""The plugin that is found by the name `https`, because a storage is found by its scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from telemetry_core import StorageType


@hookimpl
def telemetry_register_storage() -> StorageType:
    """Sign up `https:`, to read from a service over TLS."""
    from telemetry_http.remote_storage import service_storage

    return service_storage("https")
