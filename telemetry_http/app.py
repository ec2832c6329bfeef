"""The application: the routes and the onion around them, built in one place."""

from __future__ import annotations

import logging
from http import HTTPStatus

from attrs import frozen
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from telemetry_core import TelemetryError
from telemetry_http import extensions
from telemetry_http.arrival import Arrival
from telemetry_http.authorities import Authority
from telemetry_http.authorization import Authorization
from telemetry_http.guard import LOOPBACK, Guard
from telemetry_http.headers import HeaderLimit
from telemetry_http.metrics import Metrics
from telemetry_http.observation import Observation
from telemetry_http.problems import RequestError, problem, problem_of
from telemetry_http.routes.current import CurrentText
from telemetry_http.routes.table import ROUTES
from telemetry_http.service import TelemetryService
from telemetry_http.tokens import NO_TOKENS, Tokens

log = logging.getLogger(__name__)


@frozen(kw_only=True)
class Access:
    """
    Who may ask: the bearers of *tokens*, or everybody where there are none.

    *hosts* are the names the service answers for; with *any_address*, every IP address is one.
    Pages of *origins* may ask from a browser.
    """

    tokens: Tokens = NO_TOKENS
    hosts: tuple[Authority, ...] = LOOPBACK
    any_address: bool = False
    origins: tuple[str, ...] = ()


LOCAL = Access()


def create_app(service: TelemetryService, access: Access = LOCAL) -> Starlette:
    """
    Return the ASGI application that serves *service* to whom *access* lets in.

    It neither opens nor closes the service: whoever made it does.
    """
    extensions.prepare(service.plugins)
    metrics = Metrics(service)
    app = Starlette(
        routes=extensions.routes(service.plugins, ROUTES),
        middleware=_onion(service, access, metrics),
        exception_handlers={
            TelemetryError: _refuse,
            RequestError: _refuse,
            HTTPException: _refuse_http,
            Exception: _fail,
        },
    )
    app.router.redirect_slashes = False
    app.state.service = service
    app.state.access = access
    app.state.metrics = metrics
    app.state.arrival = Arrival()
    app.state.current_text = CurrentText()
    return app


def _onion(service: TelemetryService, access: Access, metrics: Metrics) -> list[Middleware]:
    """Return what a request passes on its way to the routes, from the outside to the inside."""
    cors, authorization = [], []
    if access.origins:
        cors = [
            Middleware(
                CORSMiddleware,
                allow_origins=access.origins,
                allow_methods=["GET", "HEAD", "POST"],
                allow_headers=["Authorization", "Idempotency-Key", "Last-Event-ID"],
                expose_headers=["ETag", "Link", "Retry-After", "WWW-Authenticate"],
            )
        ]
    if access.tokens:
        authorization = [Middleware(Authorization, access.tokens)]
    return [
        Middleware(Observation, metrics),
        Middleware(HeaderLimit),
        Middleware(Guard, access.hosts, access.origins, any_address=access.any_address),
        *cors,
        *authorization,
        Middleware(extensions.Wrapped, service.plugins),
    ]


def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, TelemetryError | RequestError)  # noqa: S101  # says which are registered
    return problem_of(error)


def _refuse_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # says which is registered
    headers = error.headers
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(sorted(_methods_at(request)))}
    return problem(error.status_code, error.detail, headers=headers)


def _methods_at(request: Request) -> set[str]:
    """Return what is allowed at the path of *request*, which several routes may share."""
    return {
        method
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }


def _fail(request: Request, error: Exception) -> Response:
    log.error("%s %r failed", request.method, request.url.path, exc_info=error)
    return problem(500, "the service failed; its log says how")
