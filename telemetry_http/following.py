"""Following a stream over as many connections as it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import orjson

from telemetry_core import LaggedError
from telemetry_http.errors import ServerUnreachableError

if TYPE_CHECKING:
    from httpx_sse import ServerSentEvent

OnRun = Callable[[str, dict[str, Any] | None], object]
"""Told what became of which run."""

_FIRST_RETRY_S: Final = 0.1
_LAST_RETRY_S: Final = 5.0
_DOUBLED: Final = 6


def follow(
    connect: Callable[[int | None], Iterator[ServerSentEvent]],
    after: int | None,
    on_run: OnRun | None,
) -> Iterator[dict[str, Any]]:
    """
    Yield the envelopes of events, from behind the seq *after* on, for ever.

    *connect* is called with the seq to go on from, and yields what comes until the connection ends.

    Raises:
        LaggedError: The service left something out.
        ServerUnreachableError: There was no connection the first time.
    """
    cursor, failures, was_there = after, 0, False
    while True:
        try:
            for one in connect(cursor):
                failures, was_there = 0, True
                if one.id:
                    cursor = int(one.id)
                if one.event == "message":
                    yield orjson.loads(one.data)
                elif one.event == "lagged":
                    raise LaggedError(cursor or 0)
                elif one.event == "run" and on_run is not None:
                    told = orjson.loads(one.data)
                    on_run(told["fact"], told["run"])
        except ServerUnreachableError:
            if not was_there:
                raise
        time.sleep(min(_FIRST_RETRY_S * 2 ** min(failures, _DOUBLED), _LAST_RETRY_S))
        failures += 1
