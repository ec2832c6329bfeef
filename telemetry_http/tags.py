"""Entity tags: what a client has already is not sent again (RFC 9110, section 13.1.2)."""

from __future__ import annotations

from hashlib import blake2b

from starlette.requests import Request
from starlette.responses import Response


def tagged(request: Request, body: bytes) -> Response:
    """Return *body*, which is JSON, with its tag; without the body if the client has it."""
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    # A proxy is to ask each time: what is current changes at any moment.
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if _has(request.headers.get("if-none-match"), tag):
        return Response(None, 304, headers)
    return Response(body, headers=headers, media_type="application/json")


def _has(known: str | None, tag: str) -> bool:
    if known is None:
        return False
    tags = [one.strip().removeprefix("W/") for one in known.split(",")]
    return tag in tags or tags == ["*"]
