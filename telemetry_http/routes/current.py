"""Current: the latest event of every type, or of one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from urllib.parse import unquote

import orjson
from starlette.requests import Request
from starlette.responses import Response

from telemetry_core import Event, Snapshot
from telemetry_core.codec import event_json
from telemetry_http.bodies import CurrentQuery
from telemetry_http.past import current_at
from telemetry_http.problems import RequestError
from telemetry_http.queries import read_query
from telemetry_http.service import TelemetryService
from telemetry_http.tags import tagged

_PREFIX = "/current/"


class CurrentText:
    """The current events as an object by type, made anew only when one of them is another."""

    def __init__(self) -> None:
        self._seqs: list[int] = []
        self._text = b"{}"

    def of(self, snapshot: Snapshot) -> bytes:
        """Return *snapshot* as JSON text."""
        seqs = [event.seq for event in snapshot.events.values()]
        if seqs != self._seqs:
            self._text = _by_type(snapshot)
            self._seqs = seqs
        return self._text


async def get_current(request: Request) -> Response:
    """Answer with the latest event of every type."""
    snapshot = await _snapshot(request)
    return tagged(request, b'{"current":%b}' % _text(request).of(snapshot))


async def get_current_type(request: Request) -> Response:
    """Answer with the latest event of one type."""
    type_ = _type_in(request)
    event = (await _snapshot(request)).get(type_)
    if event is None:
        raise RequestError(404, f"no current event of type {type_!r:.200}")
    return tagged(request, event_json(event))


async def get_v1_current(request: Request) -> Response:
    """Answer with the latest event of every type, now or as it was at a moment."""
    at = read_query(request, CurrentQuery).at
    if at is None:
        snapshot = await _snapshot(request)
        facts = b'"as_of_seq":%d,"at":null' % snapshot.as_of_seq
        return tagged(request, b'{%b,"current":%b}' % (facts, _text(request).of(snapshot)))
    service: TelemetryService = request.app.state.service
    moment, events = await service.ask(partial(current_at, service.recorder, at))
    as_of_seq = max((event.seq for event in events.values()), default=0)
    facts = b'"as_of_seq":%d,"at":%b' % (as_of_seq, orjson.dumps(moment))
    return tagged(request, b'{%b,"current":%b}' % (facts, _by_type(events)))


def _by_type(events: Mapping[str, Event]) -> bytes:
    members = (orjson.dumps(type_) + b":" + event_json(event) for type_, event in events.items())
    return b"{%b}" % b",".join(members)


def _text(request: Request) -> CurrentText:
    text: CurrentText = request.app.state.current_text
    return text


async def _snapshot(request: Request) -> Snapshot:
    service: TelemetryService = request.app.state.service
    recorder = service.recorder
    if service.promptness.is_given:
        return service.promptness.call(recorder.current)
    return await service.ask(recorder.current)


def _type_in(request: Request) -> str:
    """Return the type as it was quoted: a server may have tidied `..` and `//` out of the path."""
    raw = request.scope.get("raw_path") or b""
    path = raw.decode("ascii", "replace").partition("?")[0]
    if path.startswith(_PREFIX):
        return unquote(path[len(_PREFIX) :], errors="replace")
    return str(request.path_params["type"])
