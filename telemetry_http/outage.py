"""Telling the log that the storage refuses what it is given."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
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

    def tell(self, error: StorageError | BusyError) -> None:
        """Tell of *error*, unless the storage is not to blame for it."""
        if isinstance(error, IdConflictError):
            return
        reason, now = str(error), self._clock()
        if reason != self._reason or now >= self._again_at:
            log.error("events are refused: %s", reason)
            self._reason, self._again_at = reason, now + AGAIN_S
