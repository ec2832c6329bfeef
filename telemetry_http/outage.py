"""Telling the log that the storage refuses what it is given."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from telemetry_core import IdConflictError, StorageError
from telemetry_http.errors import BusyError

log = logging.getLogger(__name__)

AGAIN_S: Final = 60.0


class Outage:
    """Says why events are refused: at once, and for the same reason once in `AGAIN_S` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reason = ""
        self._again_at = 0.0

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell of what is raised inside, if the storage is to blame for it."""
        try:
            yield
        except (StorageError, BusyError) as error:
            if not isinstance(error, IdConflictError):
                self._tell(str(error))
            raise

    def _tell(self, reason: str) -> None:
        now = self._clock()
        if reason != self._reason or now >= self._again_at:
            log.error("events are refused: %s", reason)
            self._reason, self._again_at = reason, now + AGAIN_S
