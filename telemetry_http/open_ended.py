"""Requests without an end of their own: uploads and streams, which end when the service does."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager

import anyio
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send


class OpenEnded:
    """
    The open-ended requests of one service.

    Without it they would keep a server from stopping: it waits for what is open. Everything here
    is called in the thread of the event loop.
    """

    def __init__(self) -> None:
        self._scopes: set[anyio.CancelScope] = set()
        self._is_over = False

    @contextmanager
    def scope(self) -> Iterator[anyio.CancelScope]:
        """Run a block that is cancelled at the end; the scope then says `cancelled_caught`."""
        with anyio.CancelScope() as scope:
            if self._is_over:
                scope.cancel()
            self._scopes.add(scope)
            try:
                yield scope
            finally:
                self._scopes.discard(scope)

    def end(self) -> None:
        """End all of them now, and those that still come at once."""
        self._is_over = True
        for scope in list(self._scopes):
            scope.cancel()


class StreamResponse(Response):
    """
    A body that is sent as it is made: *first*, and then *others* as they come.

    It ends with them, with the service, or with the client, at once in each case; *others* is
    closed then. Whoever waits for the first part before it makes this can still answer otherwise.
    """

    def __init__(
        self,
        first: bytes,
        others: AsyncGenerator[bytes, None],
        open_ended: OpenEnded,
        *,
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(None, 200, headers, media_type)
        del self.headers["content-length"]
        self._first = first
        self._others = others
        self._open_ended = open_ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        is_gone = False
        try:
            with self._open_ended.scope():
                is_gone = scope["method"] != "HEAD" and await self._send_parts(receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._others.aclose()
        if not is_gone:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_parts(self, receive: Receive, send: Send) -> bool:
        """Send all parts, and return whether the client went before the last one."""
        is_gone = False
        failure: Exception | None = None

        async def watch(sending: anyio.CancelScope) -> None:
            nonlocal is_gone
            while (await receive())["type"] != "http.disconnect":
                pass
            is_gone = True
            sending.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(watch, group.cancel_scope)
            try:
                await send(_part(self._first))
                async for part in self._others:
                    await send(_part(part))
            except Exception as error:  # noqa: BLE001  # raised again outside of the group
                failure = error
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return is_gone


def _part(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}
