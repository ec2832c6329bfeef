"""A recorder for observational telemetry: events, runs, current values, pluggable storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from telemetry_core.blocks import BlockEvents, DraftBlock
    from telemetry_core.clock import Clock, instant_ns, system_clock
    from telemetry_core.collectors import CollectorType
    from telemetry_core.errors import (
        IdConflictError,
        InvalidEventError,
        InvalidRunError,
        InvalidSelectionError,
        LaggedError,
        MalformedJSONError,
        NoActiveRunError,
        OutcomeUnknownError,
        PluginError,
        PluginLoadError,
        Problem,
        RunActiveError,
        RunError,
        SettingsError,
        StorageClosedError,
        StorageError,
        StorageFullError,
        StorageInUseError,
        StorageReadOnlyError,
        StorageUnavailableError,
        TelemetryError,
        UnknownRunError,
        UnknownStorageError,
        UnsupportedError,
    )
    from telemetry_core.events import CheckedDraft, Draft, Event, copy_of, make_event
    from telemetry_core.hookspecs import hookimpl
    from telemetry_core.plugins import Plugins
    from telemetry_core.recorder import Recorder, open
    from telemetry_core.runs import Run, resumed
    from telemetry_core.storage import (
        EVERYTHING,
        Capabilities,
        Selection,
        Snapshot,
        Storage,
        StorageType,
        duplicate_of,
    )

__version__ = "0.1.0"

__all__ = [
    "EVERYTHING",
    "BlockEvents",
    "Capabilities",
    "CheckedDraft",
    "Clock",
    "CollectorType",
    "Draft",
    "DraftBlock",
    "Event",
    "IdConflictError",
    "InvalidEventError",
    "InvalidRunError",
    "InvalidSelectionError",
    "LaggedError",
    "MalformedJSONError",
    "NoActiveRunError",
    "OutcomeUnknownError",
    "PluginError",
    "PluginLoadError",
    "Plugins",
    "Problem",
    "Recorder",
    "Run",
    "RunActiveError",
    "RunError",
    "Selection",
    "SettingsError",
    "Snapshot",
    "Storage",
    "StorageClosedError",
    "StorageError",
    "StorageFullError",
    "StorageInUseError",
    "StorageReadOnlyError",
    "StorageType",
    "StorageUnavailableError",
    "TelemetryError",
    "UnknownRunError",
    "UnknownStorageError",
    "UnsupportedError",
    "copy_of",
    "duplicate_of",
    "hookimpl",
    "instant_ns",
    "make_event",
    "open",
    "resumed",
    "system_clock",
]

_HOMES = (
    "blocks",
    "hookspecs",
    "collectors",
    "errors",
    "clock",
    "events",
    "runs",
    "storage",
    "plugins",
    "recorder",
)
"""The modules that the names above come from, the light ones first."""


def __getattr__(name: str) -> Any:
    # Loaded when asked for: a command that only shows its help starts in two thirds of the time.
    from importlib import import_module

    for home in _HOMES if name in __all__ else ():
        module = import_module(f"telemetry_core.{home}")
        if hasattr(module, name):
            globals()[name] = getattr(module, name)
            return globals()[name]
    raise AttributeError(f"module 'telemetry_core' has no attribute {name!r}")
