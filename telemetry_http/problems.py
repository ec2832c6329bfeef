"""Errors as RFC 9457 problem documents that carry `detail`: one table for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

from telemetry_core import (
    IdConflictError,
    InvalidEventError,
    InvalidRunError,
    InvalidSelectionError,
    MalformedJSONError,
    NoActiveRunError,
    OutcomeUnknownError,
    RunActiveError,
    StorageClosedError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
    TelemetryError,
    UnknownRunError,
)

STATUS_OF: dict[type[Exception], int] = {
    MalformedJSONError: 400,
    InvalidEventError: 422,
    InvalidRunError: 422,
    InvalidSelectionError: 422,
    IdConflictError: 409,
    RunActiveError: 409,
    NoActiveRunError: 404,
    UnknownRunError: 404,
    StorageFullError: 507,
    StorageUnavailableError: 503,
    StorageClosedError: 503,
    OutcomeUnknownError: 503,
    StorageError: 503,
}
_RETRY_AFTER_S = 5


class RequestError(Exception):
    """A request that is refused for its form: a status code, a reason, and headers for it."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.detail = detail
        self.headers = headers
        super().__init__(status, detail)


def problem(
    status: int,
    detail: str,
    *,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> Response:
    """Return a problem document for *status*, with *members* beside those that all have."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **(members or {}),
    }
    if errors:
        document["errors"] = errors
    return Response(orjson.dumps(document), status, dict(headers or {}), "application/problem+json")


def problem_of(
    error: TelemetryError | RequestError, members: Mapping[str, Any] | None = None
) -> Response:
    """Return the problem document for *error*, with *members* beside those that all have."""
    if isinstance(error, RequestError):
        return problem(error.status, error.detail, headers=error.headers, members=members)
    status = next((STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF), 500)
    errors = [{"path": one.path, "detail": one.message} for one in getattr(error, "problems", ())]
    headers = (
        {"Retry-After": str(_RETRY_AFTER_S)} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    )
    return problem(status, str(error), errors=errors, headers=headers, members=members)
