"""Runs: the active one, starting, stopping, and all of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import orjson
from attrs import asdict
from starlette.requests import Request
from starlette.responses import Response

from telemetry_core import NoActiveRunError, Run
from telemetry_http.bodies import (
    HeartbeatAnswer,
    RunRequest,
    RunsQuery,
    RunStartRequest,
    RunStopRequest,
)
from telemetry_http.conflicts import begin_run
from telemetry_http.queries import read_query
from telemetry_http.requests import read_request
from telemetry_http.run_search import run_filter
from telemetry_http.service import TelemetryService

JSON = "application/json"


async def get_run(request: Request) -> Response:
    """Answer with the active run."""
    service: TelemetryService = request.app.state.service
    run = await service.ask(service.recorder.active_run)
    if run is None:
        raise NoActiveRunError
    return _answer(_active(service, run))


async def start_run(request: Request) -> Response:
    """Start a run and answer with it."""
    service: TelemetryService = request.app.state.service
    wanted = await read_request(request, RunStartRequest, may_be_missing=True)

    def start() -> Run:
        return service.recorder.start_run(wanted.run_id, meta=wanted.meta, directory=wanted.run_dir)

    return _answer(_active(service, await service.change(start)))


async def stop_run(request: Request) -> Response:
    """Stop the active run and answer with it."""
    service: TelemetryService = request.app.state.service
    wanted = await read_request(request, RunStopRequest, may_be_missing=True)

    def stop() -> Run:
        return service.recorder.stop_run(status=wanted.status, reason=wanted.reason)

    return _answer(_active(service, await service.change(stop)))


async def get_runs(request: Request) -> Response:
    """Answer with the runs that the query asks for, in the order they were first started."""
    service: TelemetryService = request.app.state.service
    is_asked_for = run_filter(read_query(request, RunsQuery, prefix="meta"))
    runs = await service.ask(lambda: list(filter(is_asked_for, service.recorder.runs())))
    return _answer({"runs": [service.run_facts(run) for run in runs]})


async def get_one_run(request: Request) -> Response:
    """Answer with the run of the id in the path."""
    service: TelemetryService = request.app.state.service
    run = await service.ask(partial(service.recorder.find_run, request.path_params["run_id"]))
    return _answer(service.run_facts(run))


async def start_v1_run(request: Request) -> Response:
    """Start a run, or join the active one, and answer with it."""
    service: TelemetryService = request.app.state.service
    wanted = await read_request(request, RunRequest, may_be_missing=True)
    run, is_new = await service.change(partial(begin_run, service, wanted))
    headers = {"Location": f"/v1/runs/{run.run_id}"}
    return _answer(service.run_facts(run), 201 if is_new else 200, headers)


async def stop_v1_run(request: Request) -> Response:
    """Stop the run of the id in the path, which must be active, and answer with it."""
    service: TelemetryService = request.app.state.service
    wanted = await read_request(request, RunStopRequest, may_be_missing=True)

    def stop() -> Run:
        return service.recorder.stop_run(
            request.path_params["run_id"], status=wanted.status, reason=wanted.reason
        )

    return _answer(service.run_facts(await service.change(stop)))


async def post_heartbeat(request: Request) -> Response:
    """Note that the owner of the run is there, and answer how long that holds."""
    service: TelemetryService = request.app.state.service
    run_id = request.path_params["run_id"]
    lease_s = await service.ask(partial(service.leases.heartbeat, run_id))
    return _answer(asdict(HeartbeatAnswer(run_id, lease_s)))


def _active(service: TelemetryService, run: Run) -> dict[str, Any]:
    return {
        "run_dir": service.run_directory(run),
        "run_id": run.run_id,
        "meta": run.meta,
        "started_at": run.started_at,
    }


def _answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), status, headers, JSON)
