"""Signing up: the hook by which the command line finds this collector."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from telemetry_core import CollectorType, hookimpl


@hookimpl
def telemetry_register_collector() -> CollectorType:
    """Sign up the collector `host`."""
    return CollectorType(
        name="host",
        summary="this machine: cpu, memory, disk, network, temperature",
        open=_open,
    )


def _open() -> Callable[[], Iterable[tuple[str, Any]]]:
    # psutil is loaded when somebody collects, so that every other command starts without it.
    from telemetry_host.readings import Host

    return Host().read
