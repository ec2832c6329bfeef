"""What the routes answer, as classes that the description of the service is made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from telemetry_http.bodies import (
    CurrentAnswer,
    EventAnswer,
    EventsPage,
    RunAnswer,
    RunsAnswer,
)
from telemetry_http.reports import BatchReport


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


TEXT: Final = "text/plain"
HTML: Final = "text/html"
SSE: Final = "text/event-stream"

ANSWERS: Final[dict[str, type | str]] = {
    "POST /event": EventAnswer,
    "GET /current": EventsByTypeAnswer,
    "GET /current/{type}": EventAnswer,
    "GET /run": ActiveRunAnswer,
    "POST /run/start": ActiveRunAnswer,
    "POST /run/stop": ActiveRunAnswer,
    "POST /v1/events": BatchReport,
    "GET /v1/events": EventsPage,
    "GET /v1/events/{seq}": EventAnswer,
    "GET /v1/current": CurrentAnswer,
    "GET /v1/stream": SSE,
    "POST /v1/runs": RunAnswer,
    "POST /v1/runs/{run_id}/stop": RunAnswer,
    "GET /v1/runs": RunsAnswer,
    "GET /v1/runs/{run_id}": RunAnswer,
    "GET /health": HealthAnswer,
    "GET /ready": ReadyAnswer,
    "POST /shutdown": ShutdownAnswer,
    "GET /metrics": TEXT,
    "GET /docs": HTML,
}
"""By operation: a class, or a media type. Handlers that name a class of theirs need no line."""

ALSO: Final[dict[str, tuple[str, ...]]] = {
    "GET /v1/events": ("application/x-ndjson", "text/csv"),
}
"""The media types that an operation answers with besides, as the request asks for."""

CREATES: Final = frozenset({"POST /v1/runs"})
"""The operations that answer with 201 when there is something new."""

MANY: Final[dict[str, tuple[str, ...]]] = {
    "POST /v1/events": ("application/x-ndjson", "application/jsonl", "application/jsonlines"),
}
"""The operations whose body is a list, and the media types in which it has one a line."""
