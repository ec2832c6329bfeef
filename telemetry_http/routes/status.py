"""Status: is it alive, can it record, and stop it."""

from __future__ import annotations

import ipaddress

import orjson
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

import telemetry_http
from telemetry_http.problems import RequestError
from telemetry_http.service import TelemetryService

JSON = "application/json"


async def get_health(_: Request) -> Response:
    """Answer that the service is alive."""
    return Response(b'{"ok":true}', media_type=JSON)


async def get_ready(request: Request) -> Response:
    """Answer whether events would be recorded now; the error says why not."""
    service: TelemetryService = request.app.state.service

    def look() -> bool:
        service.check_writable()
        return service.recorder.active_run() is not None

    facts = {
        "ready": True,
        "run_active": await service.look(look),
        "version": telemetry_http.__version__,
    }
    return Response(orjson.dumps(facts), media_type=JSON)


async def shutdown(request: Request) -> Response:
    """Stop the service, if the caller is on this machine or has a token for it."""
    service: TelemetryService = request.app.state.service
    # With tokens it was asked for one already; an address says less than a token.
    if not request.app.state.access.tokens and not _is_local(request):
        raise RequestError(403, "only a caller on this machine may stop the service")
    return Response(
        b'{"shutting_down":true}',
        media_type=JSON,
        background=BackgroundTask(service.request_shutdown),
    )


def _is_local(request: Request) -> bool:
    if request.client is None:
        return True
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
