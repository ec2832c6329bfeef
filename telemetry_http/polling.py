"""Polling: doing something every few seconds, in step with a steady clock."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

_JOIN_S = 2.0


def poll(
    name: str,
    every_s: float,
    action: Callable[[], object],
    *,
    stop: threading.Event,
    count: int | None = None,
) -> int:
    """
    Call *action* now and then every *every_s* seconds until *stop* is set; return the failures.

    It never runs twice at once: the beats that pass while it runs are left out, and the next one
    is in step with the first. A call that raises is logged and the next one tried; the same error
    over and over is logged once, and so is the end of it. *count* ends it after so many calls.
    """
    begin = time.monotonic()
    calls = failures = 0
    trouble = ""
    while True:
        try:
            action()
        except Exception as error:  # what is polled may fail in any way
            failures += 1
            if not stop.is_set() and trouble != repr(error):
                log.warning("%s failed", name, exc_info=error)
            trouble = repr(error)
        else:
            if trouble:
                log.warning("%s works again", name)
            trouble = ""
        calls += 1
        elapsed = time.monotonic() - begin
        next_beat = (elapsed // every_s + 1) * every_s
        if calls == count or stop.wait(next_beat - elapsed):
            return failures


class Pollers:
    """Things that are polled, each in a thread of its own, so that none waits for another."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, name: str, every_s: float, action: Callable[[], object]) -> None:
        """Call *action* now and then every *every_s* seconds, as `poll` does."""
        thread = threading.Thread(
            target=poll,
            args=(name, every_s, action),
            kwargs={"stop": self._stop},
            name=f"telemetry-poll-{name}",
            daemon=True,
        )
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """Stop all of them at once; a call that takes too long to end is left to itself."""
        self._stop.set()
        deadline = time.monotonic() + _JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                log.warning("%s did not end in time and was left behind", thread.name)
