"""Whether the event loop may call the storage itself, or a thread has to wait for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)

SLOW_S: Final = 1.0
"""Longer than a call that needs no disk takes, also on a machine with too much to do."""

REST_S: Final = 60.0


class Promptness:
    """
    What is known of a storage that says that it returns at once, or that it does not.

    One that was slow all the same, because its disk stalls or memory is short, is called in threads
    for `REST_S` seconds. Used in the thread of the event loop only.
    """

    def __init__(
        self, *, returns_at_once: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._returns_at_once = returns_at_once
        self._clock = clock
        self._rests_until: float | None = None

    @property
    def is_given(self) -> bool:
        """Whether the next call may be made here and now."""
        if self._rests_until is not None and self._clock() >= self._rests_until:
            self._rests_until = None
        return self._returns_at_once and self._rests_until is None

    def call(self, function: Callable[[], T]) -> T:
        """Return what *function* does, and see how long it takes."""
        began = self._clock()
        try:
            return function()
        finally:
            ended = self._clock()
            if ended - began > SLOW_S:
                self._rests_until = ended + REST_S
                log.warning(
                    "the storage took %.1f s; for %g s others need not wait for it",
                    ended - began,
                    REST_S,
                )
