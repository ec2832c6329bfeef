"""Asking each plugin for what it registers, so that a broken one costs the others nothing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from attrs import evolve

from telemetry_core.errors import TelemetryError

if TYPE_CHECKING:
    from pluggy import HookImpl

    from telemetry_core.collectors import CollectorType
    from telemetry_core.plugins import Plugins
    from telemetry_core.storage import StorageType

log = logging.getLogger(__name__)


class UnknownCollectorError(TelemetryError, LookupError):
    """No active plugin registers a collector of that name."""

    def __init__(self, name: str, installed: tuple[str, ...]) -> None:
        self.name = name
        self.installed = installed
        super().__init__(name, installed)

    def __str__(self) -> str:
        known = ", ".join(map(repr, self.installed)) or "none"
        return f"no collector named {self.name!r}; installed: {known}"


def call_each(plugins: Plugins, hook: str, **values: Any) -> list[Any]:
    """
    Return what each implementation of *hook* answers, those that answer `None` left out.

    One that raises is a warning, and its plugin is reported as not active.
    """
    answers = []
    for implementation in getattr(plugins.hook, hook).get_hookimpls():
        arguments = [values[name] for name in implementation.argnames]
        try:
            answers.append(implementation.function(*arguments))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may fail in any way
            _report(plugins, implementation, f"{hook}: {type(error).__name__}: {error}")
    return [answer for answer in answers if answer is not None]


def storages(plugins: Plugins) -> list[StorageType]:
    """Return the kinds of storage that are loaded, by scheme."""
    found = call_each(plugins, "telemetry_register_storage")
    return sorted(found, key=lambda kind: kind.scheme)


def collectors(plugins: Plugins) -> list[CollectorType]:
    """Return the collectors that are loaded, by name."""
    found = call_each(plugins, "telemetry_register_collector")
    return sorted(found, key=lambda kind: kind.name)


def find_collector(plugins: Plugins, name: str) -> CollectorType:
    """
    Return the collector called *name*.

    Raises:
        UnknownCollectorError: No active plugin has it.
    """
    known = {kind.name: kind for kind in collectors(plugins)}
    if name not in known:
        raise UnknownCollectorError(name, tuple(known))
    return known[name]


def _report(plugins: Plugins, implementation: HookImpl, reason: str) -> None:
    name = implementation.plugin_name
    reports = plugins.reports
    if any(report.name == name and report.reason == reason for report in reports):
        return
    log.warning("plugin %r failed in %s", name, reason)
    plugins.reports[:] = [
        evolve(report, reason=reason) if report.name == name else report for report in reports
    ]
