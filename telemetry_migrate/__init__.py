"""Bringing existing telemetry archives into a telemetry storage, with proof."""

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
