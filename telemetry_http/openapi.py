"""The description of the service in OpenAPI 3.1, made from its routes and what they declare."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final

import msgspec
import orjson
from starlette.convertors import FloatConvertor, IntegerConvertor
from starlette.routing import BaseRoute, Route

import telemetry_http
from telemetry_http.answers import ProblemDocument
from telemetry_http.authorization import needed
from telemetry_http.guard import SAFE
from telemetry_http.operations import SSE, DescribedRoute, Operation

_REFERENCE: Final = "#/components/schemas/{name}"

STATUSES: Final = {
    200: "It was done",
    201: "It was made",
    304: "The client has it already",
    400: "The body is not JSON, or was not sent to its end",
    401: "A token is needed, or the one given is wrong",
    403: "The token does not permit it, or a page of another site asks",
    404: "There is none",
    406: "It is not told in a type that is accepted",
    408: "The body did not arrive in time",
    409: "It is in conflict with what is there",
    413: "The body is too large",
    415: "The body has another type or encoding than is taken",
    421: "The service does not answer for that host",
    422: "Something given is wrong; `errors` says what and where",
    431: "There are too many headers",
    503: "The storage cannot do it now; `Retry-After` says when to try again",
    507: "The storage is full",
}
"""Every status that a route of ours answers with, and what it means."""

_NARROWED: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "EventRequest": {
        "type": {"minLength": 1, "maxLength": 128},
        "id": {"minLength": 1, "maxLength": 128},
        "ts": {"format": "date-time"},
        "stream": {"enum": ["site"]},
    },
    "RunStartRequest": {"run_id": {"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"}},
    "RunRequest": {
        "run_id": {"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"},
        "on_conflict": {"enum": ["error", "stop", "join"]},
    },
    "RunStopRequest": {"status": {"enum": ["completed", "failed", "aborted", "lost"]}},
}
"""What the classes of the bodies do not say of their texts, and the core checks."""

_DONE: Final = {HTTPStatus.OK, HTTPStatus.CREATED}
_ALWAYS: Final = {200, 421, 431}
_ASKS_FOR_TOKEN: Final = {401, 503}
_CHANGES: Final = {403, 409, 507}
_TAKES_BODY: Final = {400, 408, 413, 415, 422}


def describe(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """Return the description of *routes* as a JSON object."""
    found = [
        (method, route)
        for route in routes
        if isinstance(route, Route) and route.include_in_schema
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]
    schemas = _schemas([_of(route) for _, route in found])
    paths: dict[str, Any] = {}
    for method, route in found:
        operation = _operation(method, route, _of(route))
        paths.setdefault(route.path_format, {})[method.lower()] = operation
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "telemetry",
            "version": telemetry_http.__version__,
            "summary": "A recorder for observational telemetry",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def document(routes: Iterable[BaseRoute]) -> bytes:
    """Return the description of *routes* as JSON text that reads well in a diff."""
    return orjson.dumps(describe(routes), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _operation(method: str, route: Route, declared: Operation) -> dict[str, Any]:
    summary, _, rest = inspect.cleandoc(route.endpoint.__doc__ or "").partition("\n")
    permission = needed(method, route.path)
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": summary.removesuffix("."),
        # Without tokens nobody is asked for one.
        "security": [{}] if permission is None else [{"token": [permission.name.lower()]}, {}],
    }
    if rest.strip():
        operation["description"] = rest.strip()
    parameters = [*_path_parameters(route), *_query_parameters(declared.query)]
    if parameters:
        operation["parameters"] = parameters
    if declared.takes is not None:
        operation["requestBody"] = {
            "required": not declared.may_be_missing,
            "content": _body(declared.takes, declared.takes_lines),
        }
    operation["responses"] = _responses(method, route, declared)
    return operation


def _body(kind: type, media_types_of_lines: tuple[str, ...]) -> dict[str, Any]:
    schema = {"$ref": _REFERENCE.format(name=kind.__name__)}
    if not media_types_of_lines:
        return {"application/json": {"schema": schema}}
    # Lines are no JSON, so no schema can say more of them than that they are text.
    lines = {media_type: {"schema": {"type": "string"}} for media_type in media_types_of_lines}
    return {**lines, "application/json": {"schema": {"type": "array", "items": schema}}}


def _responses(method: str, route: Route, declared: Operation) -> dict[str, Any]:
    problem = {"$ref": _REFERENCE.format(name=ProblemDocument.__name__)}
    content = {"application/problem+json": {"schema": problem}}
    answers: dict[str, Any] = {
        str(status): {"description": STATUSES[status], "content": content}
        for status in sorted(_statuses(method, route, declared))
    }
    done = _content(declared.answers, *declared.also)
    for status in sorted({HTTPStatus.OK} | declared.statuses & _DONE):
        answers[str(status)] = {"description": STATUSES[status], **done}
    if "304" in answers:
        del answers["304"]["content"]
    if not route.endpoint.__module__.startswith(f"{telemetry_http.__name__}."):
        answers["default"] = {"description": "What the plugin of this route answers"}
    return answers


def _statuses(method: str, route: Route, declared: Operation) -> set[int]:
    """Return what *route* may answer with: it follows from what it takes and does."""
    statuses = _ALWAYS | declared.statuses - _DONE
    if needed(method, route.path) is not None:
        statuses |= _ASKS_FOR_TOKEN
    if method not in SAFE:
        statuses |= _CHANGES
    if declared.takes is not None:
        statuses |= _TAKES_BODY
    if declared.query is not None:
        statuses.add(HTTPStatus.UNPROCESSABLE_ENTITY)
    if route.param_convertors:
        statuses.add(HTTPStatus.NOT_FOUND)
    return statuses


def _content(answer: type | str | None, *also: str) -> dict[str, Any]:
    if answer is None:
        return {}
    if isinstance(answer, str):
        # A stream is no text that a schema could be of.
        return {"content": {answer: {} if answer == SSE else {"schema": {"type": "string"}}}}
    schema = {"$ref": _REFERENCE.format(name=answer.__name__)}
    others = {media_type: {"schema": {"type": "string"}} for media_type in also}
    return {"content": {"application/json": {"schema": schema}, **others}}


def _path_parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name, convertor in route.param_convertors.items():
        kind = {IntegerConvertor: "integer", FloatConvertor: "number"}.get(type(convertor))
        schema = {"type": "string", "minLength": 1} if kind is None else {"type": kind}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(query: type | None) -> Iterator[dict[str, Any]]:
    if query is None:
        return
    (schema,), components = msgspec.json.schema_components([query], ref_template=_REFERENCE)
    schema = components.get(query.__name__, schema)
    for name, either in schema["properties"].items():
        # A parameter that is left out has no value; `null` would be a text.
        of_it = next(one for one in either.get("anyOf", [either]) if one.get("type") != "null")
        if of_it.get("type") == "object":
            continue  # `meta.KEY=VALUE`, of which OpenAPI has no word
        required = name in schema.get("required", ())
        # A word of Python in a query, such as `from`, has an underscore behind it in the class.
        yield {"name": name.rstrip("_"), "in": "query", "required": required, "schema": of_it}


def _schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    classes: dict[str, type] = {ProblemDocument.__name__: ProblemDocument}
    requests = set()
    for one in operations:
        for kind in (one.takes, one.answers):
            if isinstance(kind, type):
                classes[kind.__name__] = kind
        if one.takes is not None:
            requests.add(one.takes.__name__)
    chosen = [classes[name] for name in sorted(classes)]
    _, schemas = msgspec.json.schema_components(chosen, ref_template=_REFERENCE)
    for name in requests:
        schemas[name]["additionalProperties"] = False  # nothing unknown is passed over
        for field, narrower in _NARROWED.get(name, {}).items():
            _narrow(schemas[name]["properties"][field], narrower)
    return dict(sorted(schemas.items()))


def _narrow(schema: dict[str, Any], narrower: dict[str, Any]) -> None:
    """Say *narrower* of the text in *schema*, which may be one of several choices."""
    for choice in schema.get("anyOf", [schema]):
        if choice.get("type") == "string":
            choice.update(narrower)


def _of(route: Route) -> Operation:
    """Return what is said of *route*; a plugin need not say anything."""
    return route.operation if isinstance(route, DescribedRoute) else Operation()


def main() -> None:
    """Print the description of our own routes."""
    from telemetry_core import Plugins
    from telemetry_http import extensions
    from telemetry_http.routes.table import ROUTES

    plugins = Plugins()
    extensions.prepare(plugins)
    sys.stdout.buffer.write(document(extensions.routes(plugins, ROUTES)))


if __name__ == "__main__":
    main()
