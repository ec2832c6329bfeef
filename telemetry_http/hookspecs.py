"""The hooks of the service, beside those of the core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from telemetry_core.hookspecs import hookspec

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp


@hookspec
def telemetry_register_routes() -> Sequence[BaseRoute]:  # type: ignore[empty-body]
    """
    Register: return routes to serve beside our own.

    Called once per application. They are asked for with the same tokens and under the same limits
    as ours, and a handler finds the service at `request.app.state.service`. When one of them would
    answer for a route that is there, none of the plugin's is taken. A plugin marks its
    implementation `@hookimpl(optionalhook=True)`, so that it also loads where telemetry_http is
    not installed.
    """


@hookspec
def telemetry_wrap_app(app: ASGIApp) -> ASGIApp | None:
    """
    Wrap: return an ASGI application that stands around *app*, or `None` to leave it as it is.

    Called once per application. The wrapper sees the requests that were let in, and what answers
    them. Marked `@hookimpl(optionalhook=True)`, like `telemetry_register_routes`.
    """
