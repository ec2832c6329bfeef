"""The reference page: the description of the service as HTML, without a script or a link away."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape
from typing import Any, Final

_STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-top: 1px solid; padding-top: 1rem; }
h2 b { display: inline-block; min-width: 4rem; }
code, h2 { font-family: ui-monospace, monospace; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
caption { text-align: left; font-weight: bold; padding: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .25rem 1rem .25rem 0; }
"""
_HASH: Final = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()

POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
"""Nothing may be loaded, sent or framed; the one style is named by what it is."""


def page(description: Mapping[str, Any]) -> str:
    """Return the *description* as a whole HTML page."""
    info = description["info"]
    body = "\n".join(
        [
            f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
            f"<p>{escape(info['summary'])}.</p>",
            '<p>For programs: <a href="openapi.json">openapi.json</a>.</p>',
            *_operations(description["paths"]),
            "<h1>Objects</h1>",
            *_schemas(description["components"]["schemas"]),
        ]
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(info["title"])}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _operations(paths: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in paths.items():
        for method, operation in methods.items():
            name = escape(operation["operationId"])
            yield f'<h2 id="{name}"><b>{method.upper()}</b> {escape(path)}</h2>'
            yield f"<p>{_prose(operation['summary'])}. {_permission(operation['security'])}</p>"
            if "description" in operation:
                yield f"<p>{_prose(operation['description'])}</p>"
            if "parameters" in operation:
                yield from _table(
                    "It takes",
                    (
                        (f"<code>{escape(one['name'])}</code>", one["in"], _type(one["schema"]))
                        for one in operation["parameters"]
                    ),
                )
            if "requestBody" in operation:
                body = operation["requestBody"]
                need = "A body" if body["required"] else "A body, which may be missing"
                yield f"<p>{need}: {_contents(body['content'])}.</p>"
            yield from _table(
                "It answers",
                (
                    (status, _prose(answer["description"]), _contents(answer.get("content", {})))
                    for status, answer in operation["responses"].items()
                ),
            )


def _schemas(schemas: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in schemas.items():
        yield f'<h2 id="schema-{escape(name)}">{escape(name)}</h2>'
        yield f"<p>{_prose(schema.get('description', ''))}</p>"
        required = schema.get("required", ())
        yield from _table(
            "Its fields",
            (
                (
                    f"<code>{escape(field)}</code>",
                    _type(of_it),
                    "required" if field in required else "may be left out",
                )
                for field, of_it in schema.get("properties", {}).items()
            ),
        )


def _table(caption: str, rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield f"<table><caption>{caption}</caption>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
    yield "</table>"


def _contents(content: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{_type(of_it.get('schema', {}))} as {escape(media_type)}"
        for media_type, of_it in content.items()
    )


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"a list of {_type(schema.get('items', {}))}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"an object of {_type(schema['additionalProperties'])}"
    return escape(str(schema.get("type", "any value")))


def _permission(security: list[dict[str, list[str]]]) -> str:
    scopes = [scope for one in security for scope in one.get("token", ())]
    return f"A token needs <code>{escape(scopes[0])}</code>." if scopes else "It needs no token."


def _prose(text: str) -> str:
    """Return *text* escaped, with what stands between backquotes as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{one}</code>" if i % 2 else one for i, one in enumerate(parts))
