"""The application: the routes and the onion around them, built in one place."""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from telemetry_core import TelemetryError
from telemetry_http.guard import Guard
from telemetry_http.problems import RequestError, problem, problem_of
from telemetry_http.routes import batch, current, events, history, live, runs, status
from telemetry_http.service import TelemetryService

log = logging.getLogger(__name__)

ROUTES = (
    Route("/event", events.post_event, methods=["POST"]),
    Route("/current", current.get_current, methods=["GET"]),
    Route("/current/{type:path}", current.get_current_type, methods=["GET"]),
    Route("/run", runs.get_run, methods=["GET"]),
    Route("/run/start", runs.start_run, methods=["POST"]),
    Route("/run/stop", runs.stop_run, methods=["POST"]),
    Route("/v1/events", batch.post_events, methods=["POST"]),
    Route("/v1/events", history.get_events, methods=["GET"]),
    Route("/v1/events/{seq:int}", history.get_one_event, methods=["GET"]),
    Route("/v1/current", current.get_v1_current, methods=["GET"]),
    Route("/v1/stream", live.get_stream, methods=["GET"]),
    Route("/v1/runs", runs.get_runs, methods=["GET"]),
    Route("/v1/runs", runs.start_v1_run, methods=["POST"]),
    Route("/v1/runs/{run_id}", runs.get_one_run, methods=["GET"]),
    Route("/v1/runs/{run_id}/stop", runs.stop_v1_run, methods=["POST"]),
    Route("/v1/runs/{run_id}/heartbeat", runs.post_heartbeat, methods=["POST"]),
    Route("/health", status.get_health, methods=["GET"]),
    Route("/ready", status.get_ready, methods=["GET"]),
    Route("/shutdown", status.shutdown, methods=["POST"]),
)


def create_app(service: TelemetryService) -> Starlette:
    """
    Return the ASGI application that serves *service*.

    It neither opens nor closes the service: whoever made it does.
    """
    app = Starlette(
        routes=ROUTES,
        middleware=[Middleware(Guard)],
        exception_handlers={
            TelemetryError: _refuse,
            RequestError: _refuse,
            HTTPException: _refuse_http,
            Exception: _fail,
        },
    )
    app.router.redirect_slashes = False
    app.state.service = service
    return app


def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, TelemetryError | RequestError)  # noqa: S101  # says which are registered
    return problem_of(error)


def _refuse_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # says which is registered
    return problem(error.status_code, error.detail, headers=error.headers)


def _fail(request: Request, error: Exception) -> Response:
    log.error("%s %r failed", request.method, request.url.path, exc_info=error)
    return problem(500, "the service failed; its log says how")
