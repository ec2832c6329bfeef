"""A view for the events of one type, with a column for each field of their data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from psycopg.sql import SQL, Composed, Identifier, Literal

from telemetry_core import Event

OURS: Final = frozenset({"events", "current", "runs"})
_FIRST: Final = ("site", "seq", "ts", "run_id")
_MAX_NAME: Final = 63
_MAX_DEPTH: Final = 4

_KINDS: Final = {
    "number": "double precision",
    "boolean": "boolean",
    "string": "text",
}
"""What a field becomes that is of one kind in all events; of several kinds it stays JSON."""

Path = tuple[str, ...]


def view_statement(schema: str, name: str, type_: str, events: Iterable[Event]) -> Composed:
    """
    Return the statements that make the view *name* of the type *type_*, as *events* have it.

    A field that is of another kind in a later event is null there, and breaks no query.
    """
    kinds: dict[Path, str] = {}
    for event in events:
        for path, kind in _fields(event.data, ()):
            kinds[path] = kind if kinds.get(path, kind) == kind else "mixed"
    names = _names(kinds)
    columns = [
        *(SQL("e.{}").format(Identifier(name)) for name in _FIRST),
        *(_column(path, kind, names[path]) for path, kind in sorted(kinds.items())),
    ]
    place = Identifier(schema, name)
    return SQL(
        "DROP VIEW IF EXISTS {place};\n"
        "CREATE VIEW {place} AS\nSELECT\n    {columns}\nFROM {events} e WHERE e.type = {type}"
    ).format(
        place=place,
        columns=SQL(",\n    ").join(columns),
        events=Identifier(schema, "events"),
        type=Literal(type_),
    )


def _fields(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the path of each field in *value* and of which kind it is."""
    if isinstance(value, dict) and len(path) < _MAX_DEPTH:
        for key, child in value.items():
            yield from _fields(child, (*path, key))
    elif value is not None:
        yield path, _kind(value)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "mixed"


def _column(path: Path, kind: str, name: str) -> Composed:
    field = SQL("e.data #> {}").format(Literal(list(path)))
    if kind not in _KINDS:
        return SQL("{} AS {}").format(field, Identifier(name))
    text = SQL("e.data #>> {}").format(Literal(list(path)))
    return SQL("CASE WHEN jsonb_typeof({}) = {} THEN ({})::{} END AS {}").format(
        field, Literal(kind), text, SQL(_KINDS[kind]), Identifier(name)
    )


def _names(paths: Iterable[Path]) -> dict[Path, str]:
    """Return a column name for each path, none of them twice."""
    names: dict[Path, str] = {}
    taken = set(_FIRST)
    for path in sorted(paths):
        wanted = ".".join(path) or "value"
        number = 1
        name = _short(wanted)
        while name in taken:
            number += 1
            name = _short(wanted, f"_{number}")
        taken.add(name)
        names[path] = name
    return names


def _short(name: str, ending: str = "") -> str:
    """Return *name* as long as a column's may be, which the server counts in bytes."""
    return name.encode()[: _MAX_NAME - len(ending)].decode(errors="ignore") + ending
