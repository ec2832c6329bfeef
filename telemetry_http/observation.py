"""Observation: each request is counted, timed and, if asked for, written down."""

from __future__ import annotations

import logging
import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from telemetry_http.metrics import Metrics

log = logging.getLogger("telemetry_http.access")
"""One record for each request. Its message and its `extra` never hold a query or a header."""

_FAILED: Final = 500


class Observation:
    """Tells *metrics* and the access log of each request, in the order in which they end."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and see how."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.perf_counter()
        status = _FAILED

        async def send_seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # Up to the first byte: a stream is no slow answer.
                self._metrics.answered(scope, status, time.perf_counter() - begin)
            await send(message)

        try:
            await self._app(scope, receive, send_seen)
        except BaseException:
            self._metrics.answered(scope, status, time.perf_counter() - begin)
            raise
        finally:
            if log.isEnabledFor(logging.INFO):
                _write(scope, status, time.perf_counter() - begin)


def _write(scope: Scope, status: int, seconds: float) -> None:
    # As it was sent: percent-encoded, so that nothing in it breaks a line or steers a terminal.
    raw = scope.get("raw_path") or scope["path"].encode("utf-8", "replace")
    path = ascii(raw.partition(b"?")[0].decode("latin-1"))[1:-1]
    client = scope["client"][0] if scope.get("client") else "-"
    log.info(
        "%s %s %d %.1f ms from %s",
        scope["method"],
        path,
        status,
        seconds * 1000,
        client,
        extra={
            "method": scope["method"],
            "path": path,
            "status": status,
            "duration_s": round(seconds, 6),
            "client": client,
        },
    )
