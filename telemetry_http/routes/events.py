"""Events: recording one."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from telemetry_core.codec import event_json
from telemetry_http.bodies import EventRequest
from telemetry_http.requests import read_request
from telemetry_http.service import TelemetryService

JSON = "application/json"


async def post_event(request: Request) -> Response:
    """Record the event in the body and answer with it."""
    service: TelemetryService = request.app.state.service
    wanted = await read_request(request, EventRequest)
    event = await service.record(wanted)
    envelope = event_json(event)
    if service.has_hooks:
        service.event_posted(orjson.loads(envelope), wanted)
    return Response(envelope, media_type=JSON)
