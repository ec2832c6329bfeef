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
class RejectedLine:
    """A line of a batch that was not recorded, or an element of a list; the first one is 1."""

    line: int
    detail: str


@frozen
class BatchReport:
    """
    What became of a batch.

    `first_seq` and `last_seq` are of those that were accepted; events of others may lie between.
    `duplicates` had been stored before, under their ids. `rejected` names the first lines that were
    refused, `rejected_total` says how many there are.
    """

    accepted: int
    duplicates: int
    first_seq: int | None
    last_seq: int | None
    rejected: Sequence[RejectedLine]
    rejected_total: int


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
