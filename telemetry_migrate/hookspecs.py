"""The hook of the migrator, beside those of the core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_core.hookspecs import hookspec

if TYPE_CHECKING:
    from telemetry_migrate.sources import SourceType


@hookspec
def telemetry_register_source() -> SourceType:  # type: ignore[empty-body]
    """
    Register: return a kind of source that events can be brought in from.

    Called once per plugin manager. `telemetry copy NAME:PLACE TO` finds it by its name. A plugin
    marks its implementation `@hookimpl(optionalhook=True)`, so that it also loads where
    telemetry_migrate is not installed.
    """
