"""Bodies that nobody reads to their end, which hypercorn would keep for ever."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ANNOUNCED: Final = ("1.1", "1.0")
_ANNOUNCING: Final = (b"content-length", b"transfer-encoding")


class Unread:
    """
    Throws away what is left of a body while the last of an answer is sent.

    hypercorn hands a body over through a queue of ten parts. When an application answers without
    reading on, as it does to a body that is too large, the queue stays full, the end of the request
    never fits into it, and the connection and its ten parts are kept also after the client left.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_read = not _may_have_body(scope)

        async def receive_seen() -> Message:
            nonlocal is_read
            message = await receive()
            is_read = message["type"] == "http.disconnect" or not message.get("more_body", False)
            return message

        async def send_draining(message: Message) -> None:
            if is_read or message["type"] != "http.response.body" or message.get("more_body"):
                await send(message)
                return
            draining = asyncio.create_task(_drain(receive))
            try:
                await send(message)
            finally:
                draining.cancel()

        await self._app(scope, receive_seen, send_draining)


def _may_have_body(scope: Scope) -> bool:
    # Of HTTP/1 the head says so; a body of HTTP/2 needs no announcement.
    if scope["http_version"] not in _ANNOUNCED:
        return True
    for name, _ in scope["headers"]:  # noqa: SIM110  # a generator takes twice as long
        if name in _ANNOUNCING:
            return True
    return False


async def _drain(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
