"""How long a body may take to arrive: one timer for all that are under way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

T = TypeVar("T")

BODY_TIMEOUT_S: Final = 30.0
_LOOKS: Final = 10


class Arrival:
    """
    Ends what takes longer than *seconds*, a tenth of them later at the latest.

    Most bodies are there when they are asked for; a timer for each would cost a request as much as
    recording its event does.
    """

    def __init__(self, seconds: float = BODY_TIMEOUT_S) -> None:
        self.seconds = seconds
        self._began: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def within(self, reading: Awaitable[T]) -> T:
        """
        Return what *reading* returns.

        Raises:
            TimeoutError: It took too long, and was cancelled.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine runs in one
        self._began[task] = time.monotonic()
        if self._loop is not task.get_loop():
            self._loop = task.get_loop()
            self._loop.call_later(self.seconds / _LOOKS, self._look)
        try:
            return await reading
        except asyncio.CancelledError:
            # Somebody else may have cancelled it at the same time, and wants it to end.
            if task in self._late and task.uncancel() == 0:
                raise TimeoutError from None
            raise
        finally:
            del self._began[task]
            self._late.discard(task)

    def _look(self) -> None:
        """Cancel those that are late, and look again for as long as there are any."""
        limit = time.monotonic() - self.seconds
        for task, began in self._began.items():
            if began <= limit and task not in self._late:
                self._late.add(task)
                task.cancel()
        if self._began and self._loop is not None:
            self._loop.call_later(self.seconds / _LOOKS, self._look)
        else:
            self._loop = None
