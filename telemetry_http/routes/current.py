"""Current: the latest event of every type, or of one."""

from __future__ import annotations

from urllib.parse import unquote

import orjson
from starlette.requests import Request
from starlette.responses import Response

from telemetry_core import Snapshot
from telemetry_core.codec import event_json
from telemetry_http.problems import RequestError
from telemetry_http.service import TelemetryService

JSON = "application/json"
_PREFIX = "/current/"


async def get_current(request: Request) -> Response:
    """Answer with the latest event of every type."""
    snapshot = await _snapshot(request)
    events = b",".join(
        orjson.dumps(type_) + b":" + event_json(event) for type_, event in snapshot.items()
    )
    return Response(b'{"current":{' + events + b"}}", media_type=JSON)


async def get_current_type(request: Request) -> Response:
    """Answer with the latest event of one type."""
    type_ = _type_in(request)
    event = (await _snapshot(request)).get(type_)
    if event is None:
        raise RequestError(404, f"no current event of type {type_!r:.200}")
    return Response(event_json(event), media_type=JSON)


async def _snapshot(request: Request) -> Snapshot:
    service: TelemetryService = request.app.state.service
    if service.recorder.storage.capabilities.costly_commit:
        return await service.ask(service.recorder.current)
    return service.recorder.current()


def _type_in(request: Request) -> str:
    """Return the type as it was quoted: a server may have tidied `..` and `//` out of the path."""
    raw = request.scope.get("raw_path") or b""
    path = raw.decode("ascii", "replace").partition("?")[0]
    if path.startswith(_PREFIX):
        return unquote(path[len(_PREFIX) :], errors="replace")
    return str(request.path_params["type"])
