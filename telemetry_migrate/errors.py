"""
Every error a migration raises beside those of the core.

    MigrateError
        SourceNotFoundError   FileNotFoundError   nothing to migrate there
        TargetExistsError     FileExistsError     a day file is there and is another one
        ForeignEventsError    FileExistsError     a recorder numbered events there
        LostLinesError        OSError             work files do not hold what was written
        DivergedError         ValueError          the copy holds what the original does not
        UnknownSourceError    LookupError         no kind of source of that name
        SourceSettingsError   ValueError          the source needs to be told more
"""

from __future__ import annotations

from collections.abc import Iterable

from telemetry_core.errors import TelemetryError


class MigrateError(TelemetryError):
    """Something cannot be migrated or copied; what is in place already stays."""


class SourceNotFoundError(MigrateError, FileNotFoundError):
    """There is no archive at that place."""

    def __init__(self, place: str, expected: str) -> None:
        self.place = place
        self.expected = expected
        super().__init__(place, expected)

    def __str__(self) -> str:
        return f"nothing to migrate in {self.place!r}: {self.expected}"


class TargetExistsError(MigrateError, FileExistsError):
    """Files of the target exist and hold something else; nothing was changed."""

    def __init__(self, place: str, files: Iterable[str]) -> None:
        self.place = place
        self.files = tuple(files)
        super().__init__(place, self.files)

    def __str__(self) -> str:
        named = ", ".join(self.files[:3]) + (", …" if len(self.files) > 3 else "")  # noqa: PLR2004
        return (
            f"{self.place!r} holds {len(self.files)} day files with other content ({named});"
            " nothing was changed: add what is missing with --merge, or choose another --dest"
        )


class ForeignEventsError(MigrateError, FileExistsError):
    """The target holds events that were not migrated, so theirs are the numbers there."""

    def __init__(self, place: str, reason: str) -> None:
        self.place = place
        self.reason = reason
        super().__init__(place, reason)

    def __str__(self) -> str:
        return (
            f"{self.place!r} cannot take migrated files: {self.reason};"
            " choose a --dest of its own, or record the archive there with `telemetry copy`"
        )


class LostLinesError(MigrateError, OSError):
    """The files that a migration works with lost some of its lines; nothing was changed."""

    def __init__(self, day: str, expected: int, found: int) -> None:
        self.day = day
        self.expected = expected
        self.found = found
        super().__init__(day, expected, found)

    def __str__(self) -> str:
        return (
            f"{self.found} lines of {self.expected} came back from the work files of {self.day};"
            " nothing was changed: look at the disk, and run it again"
        )


class DivergedError(MigrateError, ValueError):
    """Two storages cannot be the same site: what both should hold differs."""

    def __init__(self, place: str, reason: str) -> None:
        self.place = place
        self.reason = reason
        super().__init__(place, reason)

    def __str__(self) -> str:
        return f"{self.place!r} is no copy of this source: {self.reason}"


class UnknownSourceError(MigrateError, LookupError):
    """No active plugin registers a source of that name."""

    def __init__(self, name: str, installed: Iterable[str]) -> None:
        self.name = name
        self.installed = tuple(installed)
        super().__init__(name, self.installed)

    def __str__(self) -> str:
        known = ", ".join(map(repr, self.installed)) or "none"
        return f"no source named {self.name!r}; installed: {known}"


class SourceSettingsError(MigrateError, ValueError):
    """The options given for a source are wrong or not enough."""

    def __init__(self, source: str, reason: str) -> None:
        self.source = source
        self.reason = reason
        super().__init__(source, reason)

    def __str__(self) -> str:
        return f"source {self.source!r}: {self.reason}"
