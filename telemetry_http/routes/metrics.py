"""Metrics: for Prometheus."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from telemetry_http.metrics import Metrics


async def get_metrics(request: Request) -> Response:
    """Answer with what the service counts and measures, as Prometheus reads it."""
    metrics: Metrics = request.app.state.metrics
    text, content_type = await metrics.text(request.headers.get("accept", ""))
    return Response(text, headers={"Content-Type": content_type})
