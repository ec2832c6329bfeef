"""What requests carry, read strictly: nothing is coerced, nothing unknown is passed over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import field, frozen

from telemetry_core import InvalidEventError
from telemetry_core.codec import make_converter, problems_of, read_json

T = TypeVar("T")

_converter = make_converter()


@frozen
class EventRequest:
    """The body of `POST /event`."""

    type: str
    data: Any
    make_current: bool = True
    store_permanently: bool = True
    meta: Mapping[str, Any] = field(factory=dict)
    ts: str | None = None
    stream: str | None = None
    id: str | None = None


@frozen
class RunStartRequest:
    """The body of `POST /run/start`; no body at all is the same as an empty object."""

    run_dir: str | None = None
    run_id: str | None = None
    meta: Mapping[str, Any] = field(factory=dict)


@frozen
class RunStopRequest:
    """The body of `POST /run/stop`, which may be missing."""

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
