"""Collecting: finding a collector among the plugins and opening it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from telemetry_core import PluginLoadError
from telemetry_core.cli.registered import find_collector

if TYPE_CHECKING:
    from telemetry_core import Plugins

Read = Callable[[], Iterable[tuple[str, Any]]]
"""Takes one reading. What comes before an error in it is recorded all the same."""


def open_collector(plugins: Plugins, name: str) -> Read:
    """
    Return what takes one reading of the collector called *name*.

    Raises:
        UnknownCollectorError: No active plugin has it.
        PluginLoadError: It cannot be opened on this machine.
    """
    kind = find_collector(plugins, name)
    try:
        return kind.open()
    except Exception as error:
        raise PluginLoadError(name, f"{type(error).__name__}: {error}") from error
