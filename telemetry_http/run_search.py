"""Finding runs by their time, their state and what their meta says."""

from __future__ import annotations

from collections.abc import Callable

from telemetry_core import InvalidSelectionError, MalformedJSONError, Problem, Run
from telemetry_core.clock import instant_ns
from telemetry_core.codec import read_json
from telemetry_core.errors import InvalidEventError
from telemetry_core.runs import STATUSES
from telemetry_http.bodies import RunsQuery


def run_filter(query: RunsQuery) -> Callable[[Run], bool]:
    """
    Return what says of a run whether *query* asks for it.

    A run is in the time that is asked for when a part of it is.

    Raises:
        InvalidSelectionError: It cannot be asked for.
    """
    problems = []
    if query.status is not None and query.status not in STATUSES:
        message = f"{query.status!r:.100} is not one of {', '.join(STATUSES)}"
        problems.append(Problem("$.status", message))
    bounds: dict[str, int | None] = {}
    for name, text in (("from", query.from_), ("to", query.to)):
        try:
            bounds[name] = None if text is None else instant_ns(text)
        except ValueError as error:
            problems.append(Problem(f"$.{name}", str(error)))
    if problems:
        raise InvalidSelectionError(problems)
    begin, end = bounds["from"], bounds["to"]

    def is_asked_for(run: Run) -> bool:
        return (
            (query.status is None or run.status == query.status)
            and (end is None or instant_ns(run.started_at) < end)
            and (begin is None or run.stopped_at is None or instant_ns(run.stopped_at) >= begin)
            and all(_says(run.meta.get(key), text) for key, text in query.meta.items())
        )

    return is_asked_for


def _says(value: object, text: str) -> bool:
    """Whether *value* is *text*, or the JSON value that *text* is."""
    if value == text:
        return True
    try:
        wanted = read_json(text)
    except (MalformedJSONError, InvalidEventError):
        return False
    # In Python true is 1, in JSON it is not.
    return value is not None and type(value) is type(wanted) and value == wanted
