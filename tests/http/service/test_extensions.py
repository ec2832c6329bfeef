"""Plugins add routes and wrap the application, each of them alone."""

import asyncio
import logging

import httpx
import pytest
from pluggy import PluginValidationError
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from telemetry_core import Plugins, hookimpl
from telemetry_core.plugins import LoadedPlugin
from telemetry_http import TelemetryService, create_app
from telemetry_http.app import Access
from telemetry_http.tokens import Permission, Tokens


async def moon(_):
    """Answer with the moon."""
    return PlainTextResponse("new")


class Moon:
    """Adds a route."""

    @hookimpl(optionalhook=True)
    def telemetry_register_routes(self):
        """Serve the moon."""
        return [Route("/moon", moon)]


class Stamp:
    """Puts a header on every answer."""

    def __init__(self, name=b"x-stamp"):
        self.name = name

    @hookimpl(optionalhook=True)
    def telemetry_wrap_app(self, app):
        """Stamp what *app* answers."""

        async def stamped(scope, receive, send):
            async def send_stamped(message):
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], (self.name, b"yes")]
                await send(message)

            await app(scope, receive, send_stamped)

        return stamped


def registers(make):
    """Return a plugin whose routes are what *make* returns."""

    class Plugin:
        @hookimpl(optionalhook=True)
        def telemetry_register_routes(self):
            return make()

    return Plugin()


def wraps(make):
    """Return a plugin that wraps as *make* does."""

    class Plugin:
        @hookimpl(optionalhook=True)
        def telemetry_wrap_app(self, app):
            return make(app)

    return Plugin()


def ask(plugins, *paths, access=None, **headers):
    """Return the answers of an application with *plugins*."""
    found = plugins if isinstance(plugins, Plugins) else Plugins(plugins)

    async def get_all(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return [await client.get(path, headers=headers) for path in paths]

    with TelemetryService("memory:", plugins=found) as service:
        return asyncio.run(get_all(create_app(service, access or Access())))


def test_hook_telemetry_register_routes():
    """A route of a plugin is served beside ours, described and measured."""
    moon, health, described, metrics = ask(
        [Moon()], "/moon", "/health", "/openapi.json", "/metrics"
    )

    assert (200, "new") == (moon.status_code, moon.text)
    assert 200 == health.status_code
    assert "Answer with the moon" == described.json()["paths"]["/moon"]["get"]["summary"]
    assert 'route="/moon"' in metrics.text


def test_hook_telemetry_register_routes_finds_the_service():
    """A handler has the recorder at hand."""

    async def count(request):
        return PlainTextResponse(str(len(request.app.state.service.recorder.current())))

    (answer,) = ask([registers(lambda: [Route("/count", count)])], "/count")
    assert "0" == answer.text


def test_hook_telemetry_register_routes_serves_our_own():
    """`/metrics`, `/openapi.json` and `/docs` come from a plugin like any other."""
    answers = ask([], "/metrics", "/openapi.json", "/docs")
    assert [200, 200, 200] == [answer.status_code for answer in answers]


def test_hook_telemetry_wrap_app():
    """A wrapper sees every answer, the refusals of the routes among them."""
    answers = ask([Stamp()], "/health", "/nothing", "/current/x")
    assert ["yes"] * 3 == [answer.headers["x-stamp"] for answer in answers]


def test_hook_telemetry_wrap_app_may_leave_it():
    """A plugin that has nothing to do says `None`."""
    (answer,) = ask([wraps(lambda _: None), Stamp()], "/health")
    assert "yes" == answer.headers["x-stamp"]


def test_a_wrapper_sees_only_what_was_let_in():
    """No plugin can open what tokens close."""
    seen = []

    def watch(app):
        async def watching(scope, receive, send):
            seen.append(scope["path"])
            await app(scope, receive, send)

        return watching

    access = Access(tokens=Tokens.of([(Permission.READ, "secret-secret-secret")]))
    plugins = [wraps(watch), Moon()]
    closed, opened, foreign = (
        *ask(plugins, "/moon", access=access),
        *ask(plugins, "/moon", access=access, Authorization="Bearer secret-secret-secret"),
        *ask(plugins, "/moon", Host="evil.example"),
    )

    assert [401, 200, 421] == [closed.status_code, opened.status_code, foreign.status_code]
    assert ["/moon"] == seen


def fails():
    """Fail, as a plugin may."""
    raise RuntimeError("broken")


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (registers(fails), "broken"),
        (registers(lambda: [Route("/moon2", moon), Route("/current", moon)]), "served already"),
        (registers(lambda: [Route("/moon2", moon), Route("/current/mine", moon)]), "served"),
        (registers(lambda: [Route("/metrics", moon)]), "served already"),
        (registers(lambda: [Route("/moon2", moon), Route("/moon2", moon)]), "served already"),
        (registers(lambda: [Route("/moon2", moon), "/moon"]), "is no route"),
        (registers(lambda: [Mount("/v1/runs/x", routes=[])]), "served already"),
        (registers(lambda: 5), "TypeError"),
        (wraps(lambda _: fails()), "broken"),
        (wraps(lambda _: "no app"), "is no application"),
    ],
)
def test_a_plugin_that_fails_costs_the_others_nothing(plugin, reason, caplog):
    """It is a warning and a line in the reports, and adds nothing at all."""
    found = Plugins([Moon(), Stamp()])
    found.manager.register(plugin, "odd")
    found.reports.append(LoadedPlugin("odd", "odd", "odd", "1"))
    caplog.set_level(logging.WARNING)
    answers = ask(found, "/moon", "/current", "/moon2", "/metrics")

    assert [200, 200, 404, 200] == [answer.status_code for answer in answers]
    assert all(answer.headers["x-stamp"] == "yes" for answer in answers)
    assert reason in caplog.text
    assert reason in found.reports[-1].reason


def test_a_plugin_that_asks_for_what_a_hook_does_not_give_costs_the_others_nothing(caplog):
    """Pluggy alone would refuse the whole application."""

    class Odd:
        @hookimpl(optionalhook=True)
        def telemetry_wrap_app(self, app, moon):  # noqa: ARG002  # this is the mistake
            return app

    (answer,) = ask([Odd(), Stamp()], "/health")

    assert "yes" == answer.headers["x-stamp"]
    assert "it takes no moon" in caplog.text


def test_a_route_that_raises_is_an_error_of_its_own(caplog):
    """The others are answered."""

    async def raises(_):
        fails()

    broken, health = ask([registers(lambda: [Route("/broken", raises)])], "/broken", "/health")

    assert (500, 200) == (broken.status_code, health.status_code)
    assert "broken" not in broken.text
    assert "broken" in caplog.text


def test_a_plugin_loads_where_nobody_serves():
    """The mark says that the hook may be unknown; without it the misspelt is loud."""
    Plugins([Moon()])

    class Unmarked:
        @hookimpl
        def telemetry_register_route(self):
            return []

    with pytest.raises(PluginValidationError, match="telemetry_register_route"):
        Plugins([Unmarked()])


def test_two_applications_of_the_same_plugins_are_alike():
    """The hooks are made known once."""
    found = Plugins([Moon()])
    assert 200 == ask(found, "/moon")[0].status_code
    assert 200 == ask(found, "/moon")[0].status_code
