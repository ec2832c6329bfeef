"""Opening a storage to read from it, whichever kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import fields

from telemetry_core.plugins import Plugins, split_url
from telemetry_core.storage import Storage


def open_source(url: str, options: Mapping[str, Any], plugins: Plugins | None = None) -> Storage:
    """
    Return the storage at *url* opened to be read, without its lock where it can be.

    Raises:
        PluginError: No plugin opens such URLs, or not with such options.
        StorageError: It cannot be opened.
    """
    plugins = plugins or Plugins()
    kind = plugins.storage_type(split_url(url)[0])
    knows = {attribute.name for attribute in fields(kind.settings)}
    read_only = {"read_only": True} if "read_only" in knows else {}
    return plugins.open_storage(url, {**options, **read_only})
