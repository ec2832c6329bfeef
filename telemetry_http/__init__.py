"""The recorder as a service on hypercorn, and its client on httpx."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_http.errors import (
    AddressInUseError,
    AddressRefusedError,
    ServerUnreachableError,
    TelemetryClientError,
)

if TYPE_CHECKING:
    from typing import Any

    from telemetry_http.app import create_app
    from telemetry_http.bodies import EventRequest
    from telemetry_http.client import TelemetryClient
    from telemetry_http.process import telemetry_server
    from telemetry_http.remote_event import TelemetryEvent
    from telemetry_http.reports import BatchReport
    from telemetry_http.service import TelemetryService

__version__ = "0.1.0"

__all__ = [
    "AddressInUseError",
    "AddressRefusedError",
    "BatchReport",
    "EventRequest",
    "ServerUnreachableError",
    "TelemetryClient",
    "TelemetryClientError",
    "TelemetryEvent",
    "TelemetryService",
    "create_app",
    "telemetry_server",
]

_HOMES = {
    "BatchReport": "reports",
    "EventRequest": "bodies",
    "TelemetryClient": "client",
    "TelemetryEvent": "remote_event",
    "TelemetryService": "service",
    "create_app": "app",
    "telemetry_server": "process",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: a client needs no server's libraries, and a command starts quickly.
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'telemetry_http' has no attribute {name!r}")
    return getattr(import_module(f"telemetry_http.{_HOMES[name]}"), name)
