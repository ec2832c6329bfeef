"""Runs: the active one, starting, stopping, and all of them."""

from __future__ import annotations

from typing import Any

import orjson
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from telemetry_core import NoActiveRunError, Run
from telemetry_http.bodies import RunStartRequest, RunStopRequest
from telemetry_http.requests import read_request
from telemetry_http.service import TelemetryService

JSON = "application/json"


async def get_run(request: Request) -> Response:
    """Answer with the active run."""
    service: TelemetryService = request.app.state.service
    run = await to_thread.run_sync(service.recorder.active_run)
    if run is None:
        raise NoActiveRunError
    return _answer(_active(service, run))


async def start_run(request: Request) -> Response:
    """Start a run and answer with it."""
    service: TelemetryService = request.app.state.service
    wanted = await read_request(request, RunStartRequest, may_be_missing=True)

    def start() -> Run:
        return service.recorder.start_run(wanted.run_id, meta=wanted.meta, directory=wanted.run_dir)

    return _answer(_active(service, await to_thread.run_sync(start)))


async def stop_run(request: Request) -> Response:
    """Stop the active run and answer with it."""
    service: TelemetryService = request.app.state.service
    wanted = await read_request(request, RunStopRequest, may_be_missing=True)

    def stop() -> Run:
        return service.recorder.stop_run(status=wanted.status, reason=wanted.reason)

    return _answer(_active(service, await to_thread.run_sync(stop)))


async def get_runs(request: Request) -> Response:
    """Answer with all runs, in the order they were first started."""
    service: TelemetryService = request.app.state.service
    runs = await to_thread.run_sync(lambda: list(service.recorder.runs()))
    return _answer({"runs": [service.run_facts(run) for run in runs]})


async def get_one_run(request: Request) -> Response:
    """Answer with the run of the id in the path."""
    service: TelemetryService = request.app.state.service
    run = await to_thread.run_sync(service.recorder.find_run, request.path_params["run_id"])
    return _answer(service.run_facts(run))


def _active(service: TelemetryService, run: Run) -> dict[str, Any]:
    return {
        "run_dir": service.run_directory(run),
        "run_id": run.run_id,
        "meta": run.meta,
        "started_at": run.started_at,
    }


def _answer(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type=JSON)
