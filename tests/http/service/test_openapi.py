"""The description is made from the routes, and says of them what is true."""

import json
import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
from starlette.routing import Route

from telemetry_core import Plugins
from telemetry_http import extensions, openapi
from telemetry_http.operations import DescribedRoute, Operation
from telemetry_http.problems import STATUS_OF
from telemetry_http.routes.table import ROUTES

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def routes():
    """Every route of ours, those of our own plugin among them."""
    plugins = Plugins()
    extensions.prepare(plugins)
    return extensions.routes(plugins, ROUTES)


@pytest.fixture(scope="module")
def description(routes):
    """Their description."""
    return openapi.describe(routes)


def operations(description):
    """Return each operation of *description* by its method and path."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    }


def test_the_committed_description_is_that_of_the_code():
    """Whoever changes a route sees in the diff what changes for others."""
    made = subprocess.run(
        [sys.executable, "-m", "telemetry_http.openapi"], check=True, capture_output=True
    ).stdout
    committed = (ROOT / "docs" / "openapi.json").read_bytes()
    assert made == committed, "docs/openapi.json is stale; renew it with `make openapi`"


def test_every_route_is_described(description, routes):
    """With a sentence, and under a name of its own."""
    found = operations(description)
    assert {
        f"{method} {route.path_format}" for route in routes for method in route.methods - {"HEAD"}
    } == set(found)
    assert all(operation["summary"] for operation in found.values())
    assert len(found) == len({operation["operationId"] for operation in found.values()})


def test_every_status_that_an_error_has_is_described():
    """One table says what each means."""
    assert set(STATUS_OF.values()) <= set(openapi.STATUSES)


def test_a_body_is_that_of_the_declaration(description):
    """And may be missing where that is said."""
    found = operations(description)
    bodies = {
        name: (
            operation["requestBody"]["content"]["application/json"]["schema"].get("$ref"),
            operation["requestBody"]["required"],
        )
        for name, operation in found.items()
        if "requestBody" in operation
    }
    assert ("#/components/schemas/EventRequest", True) == bodies["POST /event"]
    assert ("#/components/schemas/RunStartRequest", False) == bodies["POST /run/start"]
    assert ("#/components/schemas/RunStopRequest", False) == bodies["POST /run/stop"]


READS = {"takes": {"read_request", "read_text", "_record_all"}, "query": {"read_query"}}


@pytest.mark.parametrize("declared", READS)
def test_what_a_handler_reads_is_declared(routes, declared):
    """Its code calls what reads a body or a query, so its declaration has a class for it."""
    for route in routes:
        reads = READS[declared].intersection(route.endpoint.__code__.co_names)
        assert bool(reads) == (getattr(route.operation, declared) is not None), route


def test_every_reference_leads_somewhere(description):
    """A program that generates code from it follows them all."""
    text = json.dumps(description)
    named = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert named == named & set(description["components"]["schemas"])


def test_what_is_not_taken_is_said(description):
    """Unknown fields are refused, so the schema refuses them."""
    schemas = description["components"]["schemas"]
    assert schemas["EventRequest"]["additionalProperties"] is False
    assert ["type", "data"] == schemas["EventRequest"]["required"]


def test_each_says_which_token_it_needs(description):
    """And `/health` that it needs none."""
    found = operations(description)
    assert [{}] == found["GET /health"]["security"]
    assert {"token": ["admin"]} in found["POST /shutdown"]["security"]
    assert {"token": ["write"]} in found["POST /event"]["security"]
    assert {"token": ["read"]} in found["GET /metrics"]["security"]


def test_a_route_of_a_plugin_is_described_too():
    """By its docstring, with whatever status it likes."""

    async def answer(request):
        """Answer with the moon.

        Only by night.
        """

    (methods,) = openapi.describe([Route("/moon/{phase:int}", answer)])["paths"].values()

    assert ("Answer with the moon", "Only by night.") == (
        methods["get"]["summary"],
        methods["get"]["description"],
    )
    assert {"type": "integer"} == methods["get"]["parameters"][0]["schema"]
    assert "default" in methods["get"]["responses"]


def test_a_plugin_may_say_what_it_takes_and_answers():
    """In the way in which we do."""

    @attrs.frozen
    class MoonAnswer:
        phase: float

    async def answer(request):
        """Answer with the moon."""

    told = Operation(answers=MoonAnswer, statuses=frozenset({304}))
    described = openapi.describe([DescribedRoute("GET", "/moon", answer, told)])
    responses = described["paths"]["/moon"]["get"]["responses"]
    reference = responses["200"]["content"]["application/json"]["schema"]["$ref"]

    assert "phase" in described["components"]["schemas"][reference.rpartition("/")[2]]["properties"]
    assert "304" in responses


def test_it_is_served_as_it_is_committed(serve):
    """And as a page that shows every route and loads nothing."""
    service = serve()
    served = service.ask("GET", "/openapi.json")
    page = service.ask("GET", "/docs")

    assert served.text == (ROOT / "docs" / "openapi.json").read_text()
    assert page.headers["content-type"].startswith("text/html")
    for path in served.json["paths"]:
        assert f"</b> {path}</h2>" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"<script|https?://|\bon\w+=|style=|@import|url\(", page.text)
    ids = re.findall(r'id="([^"]+)"', page.text)
    assert set(re.findall(r'href="#([^"]+)"', page.text)) <= set(ids)
    assert len(ids) == len(set(ids))
