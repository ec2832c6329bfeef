"""What the routes answer, as classes that the description of the service is made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen


@frozen
class EventAnswer:
    """An event as it was recorded."""

    seq: int
    ts: str
    type: str
    data: Any
    meta: Mapping[str, Any]


@frozen
class CurrentAnswer:
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
class RunAnswer:
    """A run with how it ended, and what was counted."""

    run_dir: str
    run_id: str
    meta: Mapping[str, Any]
    started_at: str
    stopped_at: str | None
    status: str
    reason: str | None
    events: int
    first_seq: int | None
    last_seq: int | None


@frozen
class RunsAnswer:
    """All runs, in the order they were first started."""

    runs: list[RunAnswer]


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


TEXT: Final = "text/plain"
HTML: Final = "text/html"

ANSWERS: Final[dict[str, type | str]] = {
    "POST /event": EventAnswer,
    "GET /current": CurrentAnswer,
    "GET /current/{type}": EventAnswer,
    "GET /run": ActiveRunAnswer,
    "POST /run/start": ActiveRunAnswer,
    "POST /run/stop": ActiveRunAnswer,
    "GET /v1/runs": RunsAnswer,
    "GET /v1/runs/{run_id}": RunAnswer,
    "GET /health": HealthAnswer,
    "GET /ready": ReadyAnswer,
    "POST /shutdown": ShutdownAnswer,
    "GET /metrics": TEXT,
    "GET /docs": HTML,
}
"""By operation: a class, or a media type. Handlers that name a class of theirs need no line."""
