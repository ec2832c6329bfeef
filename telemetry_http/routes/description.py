"""The description of the service: for programs, and for whoever reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from telemetry_http import openapi, reference

T = TypeVar("T")


async def get_openapi(request: Request) -> Response:
    """Answer with the description of every route, in OpenAPI 3.1."""
    text = _made_once(request.app, "openapi", lambda: openapi.document(request.app.routes))
    return Response(text, media_type="application/json")


async def get_docs(request: Request) -> Response:
    """Answer with the same description as a page that needs nothing from elsewhere."""
    page = _made_once(
        request.app, "docs", lambda: reference.page(openapi.describe(request.app.routes))
    )
    headers = {
        "Content-Security-Policy": reference.POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return Response(page, media_type="text/html", headers=headers)


def _made_once(app: Starlette, name: str, make: Callable[[], T]) -> T:
    """Return what *make* makes of *app*, whose routes do not change once it serves."""
    if not hasattr(app.state, name):
        setattr(app.state, name, make())
    made: T = getattr(app.state, name)
    return made
