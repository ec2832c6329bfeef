"""What requests carry, read strictly: nothing is coerced, nothing unknown is passed over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from attrs import field, frozen

from telemetry_core import InvalidEventError
from telemetry_core.codec import make_converter, problems_of, read_json
from telemetry_core.intake import JSONDraft

T = TypeVar("T")

_converter = make_converter()


@frozen
class EventRequest(JSONDraft):
    """The body of `POST /event`, and each line or element of that of `POST /v1/events`."""


@frozen
class HistoryQuery:
    """
    The query of `GET /v1/events`; a trailing underscore is not part of a name.

    `type` may be there several times. `from` is inclusive, `to` is not; both are RFC 3339.
    """

    type: Sequence[str] = ()
    run: str | None = None
    stream: str | None = None
    from_: str | None = None
    to: str | None = None
    after: int = 0
    limit: int | None = None
    last: int | None = None
    format: str | None = None


@frozen
class StreamQuery:
    """
    The query of `GET /v1/stream`.

    `after` is a seq to go on from; without it the stream begins with what is recorded from now on.
    `max_lag` is how far behind the client may fall before it is sent on to what is new, without
    end when it is left out. A comment is sent when there was nothing for `heartbeat_s` seconds.
    """

    type: Sequence[str] = ()
    run: str | None = None
    stream: str | None = None
    after: int | None = None
    max_lag: int | None = None
    heartbeat_s: float = 15.0


@frozen
class EventAnswer:
    """An event: the five keys, in this order."""

    seq: int
    ts: str
    type: str
    data: Any
    meta: Mapping[str, Any]


@frozen
class EventsPage:
    """
    A page of the history.

    `next_after` is the `after` of the next page, `null` when this is the last one.
    """

    events: Sequence[EventAnswer]
    next_after: int | None


@frozen
class CurrentQuery:
    """The query of `GET /v1/current`: `at` is a past moment, RFC 3339."""

    at: str | None = None


@frozen
class CurrentAnswer:
    """
    The latest event of each type, by type, now or `at` a moment.

    `as_of_seq` is a cursor: a stream from there on tells what changes.
    """

    as_of_seq: int
    at: str | None
    current: Mapping[str, EventAnswer]


@frozen
class RunStartRequest:
    """The body of `POST /run/start`; no body at all is the same as an empty object."""

    run_dir: str | None = None
    run_id: str | None = None
    meta: Mapping[str, Any] = field(factory=dict)


@frozen
class RunRequest:
    """
    The body of `POST /v1/runs`; no body at all is the same as an empty object.

    While another run is active, `on_conflict` says what happens: `error` refuses, `stop` stops
    that one first, `join` answers with that one if it is the one asked for. With `lease_s` the run
    ends as `lost` when there is no heartbeat for so many seconds.
    """

    run_id: str | None = None
    run_dir: str | None = None
    meta: Mapping[str, Any] = field(factory=dict)
    on_conflict: str = "error"
    lease_s: float | None = None


@frozen
class RunsQuery:
    """The query of `GET /v1/runs`; `meta.KEY=VALUE` may be there for several keys."""

    status: str | None = None
    from_: str | None = None
    to: str | None = None
    meta: Mapping[str, str] = field(factory=dict)


@frozen
class HeartbeatAnswer:
    """How long the run may now be without a heartbeat: `null` when it needs none."""

    run_id: str
    lease_s: float | None


@frozen
class RunAnswer:
    """A run, with what was counted in its stream so far."""

    run_dir: str
    run_id: str
    meta: Mapping[str, Any]
    started_at: str
    stopped_at: str | None
    status: str
    reason: str | None
    events: int
    first_seq: int | None
    last_seq: int | None


@frozen
class RunsAnswer:
    """The runs that were asked for, in the order they were first started."""

    runs: Sequence[RunAnswer]


@frozen
class RunStopRequest:
    """The body of `POST /run/stop` and `POST /v1/runs/{run_id}/stop`, which may be missing."""

    status: str = "completed"
    reason: str | None = None


def read_body(text: bytes, kind: type[T]) -> T:
    """
    Return the *text* of a request as a *kind*.

    Raises:
        MalformedJSONError: It is not JSON.
        InvalidEventError: It is no such object; every problem has its path.
    """
    values = read_json(text)
    try:
        return _converter.structure(values, kind)
    except Exception as error:  # noqa: BLE001  # cattrs raises groups of whatever went wrong
        raise InvalidEventError(problems_of(error)) from None
