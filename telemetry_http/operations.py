"""What an operation takes and answers, declared beside its route for the description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen
from starlette.routing import Route

TEXT: Final = "text/plain"
HTML: Final = "text/html"
SSE: Final = "text/event-stream"


@frozen(kw_only=True)
class Operation:
    """
    One operation: `takes` is the class of its body, `query` that of its query.

    `answers` is a class, or a media type; `also` are the media types that it answers with besides,
    as the request asks for. A body that is a list has one element a line in `takes_lines`; one that
    `may_be_missing` is the same as an empty object. `statuses` are those that do not follow from
    the rest, such as 304 for what has a tag.
    """

    takes: type | None = None
    takes_lines: tuple[str, ...] = ()
    may_be_missing: bool = False
    query: type | None = None
    answers: type | str | None = None
    also: tuple[str, ...] = ()
    statuses: frozenset[int] = frozenset()


class DescribedRoute(Route):
    """A route for one method, and what is to be said of it."""

    def __init__(
        self, method: str, path: str, endpoint: Callable[..., Any], operation: Operation
    ) -> None:
        super().__init__(path, endpoint, methods=[method])
        self.operation = operation
