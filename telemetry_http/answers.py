"""What the routes answer, as classes that the description of the service is made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from telemetry_http.bodies import EventAnswer


@frozen
class EventsByTypeAnswer:
    """The latest event of each type, by type."""

    current: Mapping[str, EventAnswer]


@frozen
class ActiveRunAnswer:
    """The run that was started, or stopped, or is active."""

    run_dir: str
    run_id: str
    meta: Mapping[str, Any]
    started_at: str


@frozen
class HealthAnswer:
    """That the service is alive."""

    ok: bool


@frozen
class ReadyAnswer:
    """That an event would be recorded now."""

    ready: bool
    run_active: bool
    version: str


@frozen
class ShutdownAnswer:
    """That the service is about to end."""

    shutting_down: bool


@frozen
class ProblemPlace:
    """One thing that is wrong, and where: `path` is like `$.meta.run_id`."""

    path: str
    detail: str


@frozen
class ProblemDocument:
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ProblemPlace] = field(factory=list)
