"""Events: recording one."""

from __future__ import annotations

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from telemetry_core import InvalidEventError, Problem
from telemetry_core.codec import event_dict, event_json
from telemetry_http.bodies import EventRequest, read_body
from telemetry_http.requests import read_text
from telemetry_http.service import TelemetryService

JSON = "application/json"


async def post_event(request: Request) -> Response:
    """Record the event in the body and answer with it."""
    service: TelemetryService = request.app.state.service
    text = await read_text(request)
    is_plain = "idempotency-key" not in request.headers and not service.has_hooks
    event = await service.record_text(text) if is_plain else None
    if event is None:
        wanted = _named(read_body(text, EventRequest), request)
        event = await service.record(wanted)
        if service.has_hooks:
            service.event_posted(event_dict(event), wanted)
    envelope = event_json(event)
    headers = {"Idempotent-Replayed": "true"} if event.is_duplicate else None
    return Response(envelope, headers=headers, media_type=JSON)


def _named(wanted: EventRequest, request: Request) -> EventRequest:
    """Return *wanted* with the `Idempotency-Key` of the request as its id, if there is one."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return wanted
    if len(key) > 1 and key[0] == key[-1] == '"':  # it may be a string of structured headers
        key = key[1:-1]
    if wanted.id not in (None, key):
        message = f"{wanted.id!r:.200} is not the Idempotency-Key; leave one of them out"
        raise InvalidEventError([Problem("$.id", message)])
    return evolve(wanted, id=key)
