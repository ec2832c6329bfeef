"""Extensions: what plugins add to an application, each of them alone."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from telemetry_core import Plugins
from telemetry_http import hookspecs, plugin

if TYPE_CHECKING:
    from pluggy import HookImpl

log = logging.getLogger(__name__)

_OURS: Final = "http"
_HOOKS: Final = ("telemetry_register_routes", "telemetry_wrap_app")
_ANY: Final = "GET"


def prepare(plugins: Plugins) -> None:
    """Teach *plugins* the hooks of the service, and let our own plugin be among them."""
    manager = plugins.manager
    if manager.get_plugin(_OURS) is None:
        manager.register(plugin, _OURS)
    known_hook = getattr(manager.hook, _HOOKS[0])  # our own plugin implements it
    if known_hook.has_spec():
        return
    for name in _HOOKS:
        known = set(inspect.signature(getattr(hookspecs, name)).parameters)
        for implementation in _implementations(plugins, name):
            unknown = set(implementation.argnames) - known
            if unknown:
                # pluggy would refuse all plugins for the sake of this one.
                manager.unregister(implementation.plugin)
                _report(plugins, implementation, name, f"it takes no {', '.join(sorted(unknown))}")
    manager.add_hookspecs(hookspecs)


def routes(plugins: Plugins, ours: Iterable[BaseRoute]) -> list[BaseRoute]:
    """Return *ours* and the routes of the plugins; one that clashes or fails adds none."""
    found = list(ours)
    name = "telemetry_register_routes"
    for implementation in _implementations(plugins, name):
        try:
            found += _checked(implementation.function(), found)
        except Exception as error:  # noqa: BLE001  # a plugin may fail in any way
            _report(plugins, implementation, name, f"{type(error).__name__}: {error}")
    return found


class Wrapped:
    """The application *app* inside of what the plugins wrap around it."""

    def __init__(self, app: ASGIApp, plugins: Plugins) -> None:
        self._app = app
        name = "telemetry_wrap_app"
        for implementation in _implementations(plugins, name):
            try:
                self._app = _wrap(implementation, self._app)
            except Exception as error:  # noqa: BLE001  # a plugin may fail in any way
                _report(plugins, implementation, name, f"{type(error).__name__}: {error}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._app(scope, receive, send)


def _wrap(implementation: HookImpl, app: ASGIApp) -> ASGIApp:
    wrapped: Any = implementation.function(*[app for _ in implementation.argnames])
    if wrapped is not None and not callable(wrapped):
        raise TypeError(f"{wrapped!r:.100} is no application")
    return wrapped or app


def _checked(given: Any, known: list[BaseRoute]) -> list[BaseRoute]:
    added: list[BaseRoute] = []
    for route in given or ():
        if not isinstance(route, Route | Mount):
            raise TypeError(f"{route!r:.100} is no route")
        for method, path in _answered(route):
            scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
            if any(one.matches(scope)[0] is Match.FULL for one in [*known, *added]):
                raise ValueError(f"{method} {path} is served already")
        added.append(route)
    return added


def _answered(route: Route | Mount) -> Iterator[tuple[str, str]]:
    """Yield a method and a path for each that *route* answers."""
    if isinstance(route, Mount):
        yield _ANY, route.path or "/"
    else:
        for method in sorted(route.methods or {_ANY}):
            yield method, route.path_format


def _implementations(plugins: Plugins, name: str) -> list[HookImpl]:
    hook = getattr(plugins.manager.hook, name, None)
    found = [] if hook is None else list(hook.get_hookimpls())
    # Ours first, whatever the alphabet made of the order: nobody takes a route of ours away.
    return sorted(found, key=lambda implementation: implementation.plugin_name != _OURS)


def _report(plugins: Plugins, implementation: HookImpl, hook: str, reason: str) -> None:
    """Say that a plugin is not active in *hook*, in the log and in `telemetry plugins`."""
    name = implementation.plugin_name
    log.warning("plugin %r failed in %s: %s", name, hook, reason)
    plugins.reports[:] = [
        evolve(report, reason=f"{hook}: {reason}") if report.name == name else report
        for report in plugins.reports
    ]
