"""Reading a request's body: its type, its size, its time, its object."""

from __future__ import annotations

from typing import TypeVar

from starlette.requests import Request

from telemetry_http.arrival import Arrival
from telemetry_http.bodies import read_body
from telemetry_http.problems import RequestError

T = TypeVar("T")

MAX_BODY_BYTES = 1024 * 1024


async def read_request(request: Request, kind: type[T], *, may_be_missing: bool = False) -> T:
    """
    Return the body of *request* as a *kind*.

    Raises:
        RequestError: As for `read_text`.
        MalformedJSONError, InvalidEventError: As for `read_body`.
    """
    text = await read_text(request, may_be_missing=may_be_missing)
    return kind() if not text and may_be_missing else read_body(text, kind)


async def read_text(request: Request, *, may_be_missing: bool = False) -> bytes:
    """
    Return the body of *request*, which says that it is JSON unless it *may_be_missing* and is.

    Raises:
        RequestError: 415 for another type or encoding, 413 for more than `MAX_BODY_BYTES`, 408 for
            a body that does not arrive in time.
    """
    headers = request.headers
    if "content-encoding" in headers:
        raise RequestError(415, f"the encoding {headers['content-encoding']!r:.50} is not taken")
    declared = headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise _too_large()
    arrival: Arrival = request.app.state.arrival
    try:
        body = await arrival.within(_read(request))
    except TimeoutError:
        raise RequestError(408, f"the body did not arrive within {arrival.seconds:g} s") from None
    if not body and may_be_missing:
        return body
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise RequestError(415, f"the body must be application/json, not {media_type!r:.100}")
    return body


async def _read(request: Request) -> bytes:
    body, is_whole = b"", False
    while not is_whole:
        message = await request.receive()
        if message["type"] != "http.request":
            raise RequestError(400, "the body was not sent to its end")
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
        is_whole = not message.get("more_body", False)
    return body


def _too_large() -> RequestError:
    # The rest of the body is not read, so the connection cannot be used again.
    return RequestError(413, f"more than {MAX_BODY_BYTES} bytes", {"Connection": "close"})
