"""Live: the stream of what is recorded, as server-sent events."""

from __future__ import annotations

from typing import Final

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from telemetry_core import InvalidSelectionError, Problem
from telemetry_http.bodies import HistoryQuery, StreamQuery
from telemetry_http.open_ended import StreamResponse
from telemetry_http.queries import read_query, read_whole_number, selection_of
from telemetry_http.service import TelemetryService

SSE: Final = "text/event-stream"
_SHORTEST_HEARTBEAT_S: Final = 0.05
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""A proxy between is to pass on each frame as it comes."""


async def get_stream(request: Request) -> Response:
    """Answer with what is recorded from now on, or from behind the seq that is asked for."""
    service: TelemetryService = request.app.state.service
    query = _with_last_event_id(read_query(request, StreamQuery), request)
    if query.heartbeat_s < _SHORTEST_HEARTBEAT_S:
        message = f"{query.heartbeat_s:g} is too short; {_SHORTEST_HEARTBEAT_S} is the shortest"
        raise InvalidSelectionError([Problem("$.heartbeat_s", message)])
    selection = selection_of(HistoryQuery(type=query.type, run=query.run, stream=query.stream))
    frames = service.live.follow(
        selection, after=query.after, max_lag=query.max_lag, heartbeat_s=query.heartbeat_s
    )
    first = await anext(frames)
    return StreamResponse(first, frames, service.open_ended, media_type=SSE, headers=_HEADERS)


def _with_last_event_id(query: StreamQuery, request: Request) -> StreamQuery:
    """Return *query* with what a client saw last before it reconnected, which goes before."""
    text = request.headers.get("last-event-id")
    if not text:
        return query
    try:
        return evolve(query, after=read_whole_number(text))
    except ValueError as error:
        raise InvalidSelectionError([Problem("$.Last-Event-ID", str(error))]) from None
