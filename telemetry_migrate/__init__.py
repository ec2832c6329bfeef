"""Bringing existing telemetry archives into a telemetry storage, with proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from telemetry_migrate.copying import CopyReport
    from telemetry_migrate.migration import migrate
    from telemetry_migrate.progress import Progress
    from telemetry_migrate.rejects import Reject
    from telemetry_migrate.report import FileReport, Report, VerifiedCount
    from telemetry_migrate.sources import SourceType
    from telemetry_migrate.transfer import copy

__version__ = "0.1.0"

__all__ = [
    "CopyReport",
    "FileReport",
    "Progress",
    "Reject",
    "Report",
    "SourceType",
    "VerifiedCount",
    "copy",
    "migrate",
]

_HOMES = ("progress", "rejects", "report", "sources", "copying", "transfer", "migration")
"""The modules that the names above come from, the light ones first."""


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the `telemetry` command imports this package to add two commands.
    from importlib import import_module

    for home in _HOMES if name in __all__ else ():
        module = import_module(f"telemetry_migrate.{home}")
        if hasattr(module, name):
            globals()[name] = getattr(module, name)
            return globals()[name]
    raise AttributeError(f"module 'telemetry_migrate' has no attribute {name!r}")
