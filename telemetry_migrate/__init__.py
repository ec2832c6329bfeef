"""Bringing existing telemetry archives into a telemetry storage, with proof."""

from telemetry_migrate.migration import migrate
from telemetry_migrate.progress import Progress
from telemetry_migrate.report import FileReport, Report, VerifiedCount

__version__ = "0.1.0"

__all__ = [
    "FileReport",
    "Progress",
    "Report",
    "VerifiedCount",
    "migrate",
]
