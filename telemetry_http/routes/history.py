"""History: what was recorded, as a page, as lines or as a table; and one event of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from functools import partial
from typing import Final
from urllib.parse import urlencode

import orjson
from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from telemetry_core import Event, Recorder, Selection
from telemetry_core.codec import event_json
from telemetry_http.bodies import HistoryQuery
from telemetry_http.formats import JSON, Format, format_for
from telemetry_http.open_ended import StreamResponse
from telemetry_http.problems import RequestError
from telemetry_http.queries import MAX_NUMBER, read_query, selection_of
from telemetry_http.service import TelemetryService

PAGE_EVENTS: Final = 1000
PAGE_BYTES: Final = 1024 * 1024
"""A page ends when it has so many bytes, whatever it was asked to hold."""

READ_BYTES: Final = 1024 * 1024
"""So much of a stream is read at a time, and waits in memory to be sent."""


async def get_events(request: Request) -> Response:
    """Answer with the events that the query selects, in ascending seq."""
    service: TelemetryService = request.app.state.service
    query = read_query(request, HistoryQuery)
    selection = selection_of(query)
    form = format_for(request, query.format)
    if form is JSON:
        page = await service.ask(partial(_read_page, service.recorder, selection))
        return _page_answer(request, page)
    blocks = _blocks(service, selection, form)
    # Until the first one is there, an error can still be told as one.
    first = await anext(blocks, b"")
    return StreamResponse(first, blocks, service.open_ended, media_type=form.media_types[0])


async def get_one_event(request: Request) -> Response:
    """Answer with the event of the seq in the path."""
    service: TelemetryService = request.app.state.service
    seq: int = request.path_params["seq"]

    def find() -> Event | None:
        if not 0 < seq <= MAX_NUMBER:
            return None
        found = next(service.recorder.history(after=seq - 1, limit=1), None)
        return found if found is not None and found.seq == seq else None

    event = await service.ask(find)
    if event is None:
        raise RequestError(404, f"no event of the seq {seq}")
    return Response(event_json(event), media_type=JSON.media_types[0])


def _read_page(recorder: Recorder, selection: Selection) -> tuple[list[bytes], int | None]:
    """Return the events of one page as JSON, and the seq behind which there are more."""
    limit = PAGE_EVENTS if selection.limit is None else selection.limit
    if selection.last is not None:
        limit = selection.last
    events: list[bytes] = []
    size = last_seq = 0
    # One more than is wanted, to know whether there is one.
    wider = selection if selection.last is not None else evolve(selection, limit=limit + 1)
    for event in recorder.storage.read(wider):
        if len(events) == limit or size > PAGE_BYTES:
            return events, last_seq or selection.after
        events.append(event_json(event))
        size += len(events[-1])
        last_seq = event.seq
    return events, None


def _page_answer(request: Request, page: tuple[list[bytes], int | None]) -> Response:
    events, next_after = page
    body = b'{"events":[%b],"next_after":%b}' % (b",".join(events), orjson.dumps(next_after))
    headers = {}
    if next_after is not None:
        # Behind the first page of the `last` ones are only such as belong to them.
        asked = [
            one for one in request.query_params.multi_items() if one[0] not in ("after", "last")
        ]
        link = f"{request.url.path}?{urlencode([*asked, ('after', next_after)])}"
        headers["Link"] = f'<{link}>; rel="next"'
    return Response(body, headers=headers, media_type=JSON.media_types[0])


async def _blocks(
    service: TelemetryService, selection: Selection, form: Format
) -> AsyncGenerator[bytes, None]:
    """Yield the history in *form*, read in a worker thread, some blocks at a time."""
    blocks = form.blocks(service.recorder.storage, selection)
    read = partial(_some_of, blocks)
    some = await service.ask(read)
    while some:
        following = asyncio.create_task(service.ask(read))
        try:
            for block in some:
                yield block
            some = await following
        finally:
            following.cancel()


def _some_of(blocks: Iterator[bytes]) -> list[bytes]:
    """Return the next of *blocks*, for as many as a way to a thread and back is worth."""
    some: list[bytes] = []
    size = 0
    while size < READ_BYTES and (block := next(blocks, None)):
        some.append(block)
        size += len(block)
    return some
