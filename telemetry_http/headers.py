"""The limit on headers, so that no request takes more memory than its body may."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from telemetry_http.problems import problem

MAX_HEADERS: Final = 100
MAX_HEADER_BYTES: Final = 32 * 1024


class HeaderLimit:
    """
    Refuses requests with more than `MAX_HEADERS` headers or `MAX_HEADER_BYTES` of them.

    The server has a limit of its own on what it waits for, but lets through what came in one piece.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        if scope["type"] == "http":
            headers = scope["headers"]
            size = sum(len(name) + len(value) for name, value in headers)
            if len(headers) > MAX_HEADERS or size > MAX_HEADER_BYTES:
                detail = f"more than {MAX_HEADERS} headers, or {MAX_HEADER_BYTES} bytes of them"
                await problem(431, detail, headers={"Connection": "close"})(scope, receive, send)
                return
        await self._app(scope, receive, send)
