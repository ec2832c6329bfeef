"""What the query of a URL asks for, read as strictly as a body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar, get_type_hints

import attrs
from starlette.requests import Request

from telemetry_core import InvalidSelectionError, Problem, Selection
from telemetry_http.bodies import HistoryQuery

T = TypeVar("T")

MAX_NUMBER: Final = 2**62

_ASKED_AS: Final = {"since": "from", "until": "to", "types": "type"}
"""Fields of a selection that a query calls otherwise."""


def read_query(request: Request, kind: type[T], *, prefix: str | None = None) -> T:
    """
    Return the query of *request* as a *kind*, an attrs class of texts, numbers and lists of texts.

    A field called `from_` is asked for as `from`. Where the class has a field of the name *prefix*,
    it gets the parameters `prefix.KEY` by their keys.

    Raises:
        InvalidSelectionError: A parameter is unknown, there twice, or no number.
    """
    kinds = get_type_hints(kind)
    fields = {one.name.rstrip("_"): one.name for one in attrs.fields(kind)}  # type: ignore[arg-type]
    found: dict[str, Any] = {}
    problems = []
    for name, text in request.query_params.multi_items():
        field = fields.get(name)
        begin, _, key = name.partition(".")
        if prefix is not None and begin == prefix and key:
            found.setdefault(prefix, {})[key] = text
        elif field is None or name == prefix:
            known = ", ".join(f"{one}.KEY" if one == prefix else one for one in fields)
            problems.append(Problem(f"$.{name:.100}", f"no such parameter; there are {known}"))
        elif kinds[field] == Sequence[str]:
            found.setdefault(field, []).append(text)
        elif field in found:
            problems.append(Problem(f"$.{name}", "stands twice"))
        else:
            try:
                found[field] = _value(text, str(kinds[field]))
            except ValueError as error:
                problems.append(Problem(f"$.{name}", str(error)))
    if problems:
        raise InvalidSelectionError(problems)
    return kind(**found)


def selection_of(query: HistoryQuery, **more: Any) -> Selection:
    """
    Return the selection that *query* asks for, narrowed further by *more*.

    Raises:
        InvalidSelectionError: It cannot be asked for; the paths name parameters of the query.
    """
    asked = {
        "types": tuple(query.type),
        "run": query.run,
        "stream": query.stream,
        "since": query.from_,
        "until": query.to,
        "after": query.after,
        "limit": query.limit,
        "last": query.last,
    }
    try:
        return Selection(**{**asked, **more})
    except InvalidSelectionError as error:
        raise InvalidSelectionError(
            Problem(f"$.{_ASKED_AS.get(one.path[2:], one.path[2:])}", one.message)
            for one in error.problems
        ) from None


def read_whole_number(text: str) -> int:
    """
    Return the number that *text* is.

    Raises:
        ValueError: It is no whole number, or too large to be one of ours.
    """
    # int() would read signs, blanks and the digits of other scripts, and very long ones slowly.
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_NUMBER))
    if not is_number or int(text) > MAX_NUMBER:
        raise ValueError(f"{text!r:.100} is no whole number from 0 to {MAX_NUMBER}")
    return int(text)


def _value(text: str, wanted: str) -> Any:
    if "int" in wanted:
        return read_whole_number(text)
    return _seconds(text) if "float" in wanted else text


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < MAX_NUMBER:
        raise ValueError(f"{text!r:.100} is no number from 0 on")
    return number
