"""A recorder for observational telemetry: events, runs, current values, pluggable storage."""

from telemetry_core.clock import Clock, system_clock
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
from telemetry_core.runs import Run
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
    "Capabilities",
    "CheckedDraft",
    "Clock",
    "CollectorType",
    "Draft",
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
    "make_event",
    "open",
    "system_clock",
]
