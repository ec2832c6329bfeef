"""The routes of the service, each with what it takes and answers."""

from __future__ import annotations

from typing import Final

from telemetry_http import bodies
from telemetry_http.answers import (
    ActiveRunAnswer,
    EventsByTypeAnswer,
    HealthAnswer,
    ReadyAnswer,
    ShutdownAnswer,
)
from telemetry_http.operations import SSE, DescribedRoute, Operation
from telemetry_http.reports import BatchReport
from telemetry_http.routes import batch, current, events, history, live, runs, status

_TAGGED: Final = frozenset({304})
_MAY_BE_NONE: Final = frozenset({404})
_LINES: Final = ("application/x-ndjson", "application/jsonl", "application/jsonlines")

ROUTES: Final = (
    DescribedRoute(
        "POST",
        "/event",
        events.post_event,
        Operation(takes=bodies.EventRequest, answers=bodies.EventAnswer),
    ),
    DescribedRoute(
        "GET",
        "/current",
        current.get_current,
        Operation(answers=EventsByTypeAnswer, statuses=_TAGGED),
    ),
    DescribedRoute(
        "GET",
        "/current/{type:path}",
        current.get_current_type,
        Operation(answers=bodies.EventAnswer, statuses=_TAGGED),
    ),
    DescribedRoute(
        "GET", "/run", runs.get_run, Operation(answers=ActiveRunAnswer, statuses=_MAY_BE_NONE)
    ),
    DescribedRoute(
        "POST",
        "/run/start",
        runs.start_run,
        Operation(takes=bodies.RunStartRequest, may_be_missing=True, answers=ActiveRunAnswer),
    ),
    DescribedRoute(
        "POST",
        "/run/stop",
        runs.stop_run,
        Operation(
            takes=bodies.RunStopRequest,
            may_be_missing=True,
            answers=ActiveRunAnswer,
            statuses=_MAY_BE_NONE,
        ),
    ),
    DescribedRoute(
        "POST",
        "/v1/events",
        batch.post_events,
        Operation(takes=bodies.EventRequest, takes_lines=_LINES, answers=BatchReport),
    ),
    DescribedRoute(
        "GET",
        "/v1/events",
        history.get_events,
        Operation(
            query=bodies.HistoryQuery,
            answers=bodies.EventsPage,
            also=("application/x-ndjson", "text/csv"),
            statuses=frozenset({406}),
        ),
    ),
    DescribedRoute(
        "GET",
        "/v1/events/{seq:int}",
        history.get_one_event,
        Operation(answers=bodies.EventAnswer),
    ),
    DescribedRoute(
        "GET",
        "/v1/current",
        current.get_v1_current,
        Operation(query=bodies.CurrentQuery, answers=bodies.CurrentAnswer, statuses=_TAGGED),
    ),
    DescribedRoute(
        "GET", "/v1/stream", live.get_stream, Operation(query=bodies.StreamQuery, answers=SSE)
    ),
    DescribedRoute(
        "GET",
        "/v1/runs",
        runs.get_runs,
        Operation(query=bodies.RunsQuery, answers=bodies.RunsAnswer),
    ),
    DescribedRoute(
        "POST",
        "/v1/runs",
        runs.start_v1_run,
        Operation(
            takes=bodies.RunRequest,
            may_be_missing=True,
            answers=bodies.RunAnswer,
            statuses=frozenset({201}),
        ),
    ),
    DescribedRoute(
        "GET", "/v1/runs/{run_id}", runs.get_one_run, Operation(answers=bodies.RunAnswer)
    ),
    DescribedRoute(
        "POST",
        "/v1/runs/{run_id}/stop",
        runs.stop_v1_run,
        Operation(takes=bodies.RunStopRequest, may_be_missing=True, answers=bodies.RunAnswer),
    ),
    DescribedRoute(
        "POST",
        "/v1/runs/{run_id}/heartbeat",
        runs.post_heartbeat,
        Operation(answers=bodies.HeartbeatAnswer),
    ),
    DescribedRoute("GET", "/health", status.get_health, Operation(answers=HealthAnswer)),
    DescribedRoute("GET", "/ready", status.get_ready, Operation(answers=ReadyAnswer)),
    DescribedRoute("POST", "/shutdown", status.shutdown, Operation(answers=ShutdownAnswer)),
)
