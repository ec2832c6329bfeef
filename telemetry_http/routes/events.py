"""Events: recording one."""

from __future__ import annotations

import orjson
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from telemetry_core import Event
from telemetry_core.codec import event_json
from telemetry_http.bodies import EventRequest
from telemetry_http.requests import read_request
from telemetry_http.service import TelemetryService

JSON = "application/json"


async def post_event(request: Request) -> Response:
    """Record the event in the body and answer with it."""
    service: TelemetryService = request.app.state.service
    wanted = await read_request(request, EventRequest)

    def record() -> Event:
        return service.recorder.record(
            wanted.type,
            wanted.data,
            ts=wanted.ts,
            meta=wanted.meta,
            make_current=wanted.make_current,
            store_permanently=wanted.store_permanently,
            stream=wanted.stream,
            id=wanted.id,
        )

    # A cheap commit is quicker than a way to another thread and back; a costly one would keep
    # every other client waiting.
    if service.recorder.storage.capabilities.costly_commit:
        event = await to_thread.run_sync(record)
    else:
        event = record()
    envelope = event_json(event)
    if service.has_hooks:
        service.event_posted(orjson.loads(envelope), wanted)
    return Response(envelope, media_type=JSON)
