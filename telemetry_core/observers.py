"""Observers: telling plugins what was recorded, outside the recording thread."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from copy import deepcopy
from typing import TYPE_CHECKING

from telemetry_core.events import Event, copy_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pluggy
    from pluggy import HookImpl

    from telemetry_core.runs import Run

log = logging.getLogger(__name__)

FACTS = ("telemetry_event_recorded", "telemetry_run_started", "telemetry_run_stopped")
MAX_WAITING = 10_000


class Observers:
    """
    All plugins that want to know, each with a queue and a thread of its own.

    Every observer gets the facts in the order they became true. One that raises is logged; one
    that is more than `MAX_WAITING` facts behind misses the newest, which is logged and counted in
    `missed`. Neither costs the caller or another observer anything.
    """

    def __init__(self, manager: pluggy.PluginManager) -> None:
        implementations: dict[str, dict[str, HookImpl]] = {}
        for fact in FACTS:
            for implementation in getattr(manager.hook, fact).get_hookimpls():
                implementations.setdefault(implementation.plugin_name, {})[fact] = implementation
        self._all = [_Observer(name, found) for name, found in implementations.items()]
        self._of_events = [one for one in self._all if FACTS[0] in one.implementations]
        self.wants_events = bool(self._of_events)

    @property
    def missed(self) -> int:
        """How many facts were not delivered because an observer was too slow."""
        return sum(observer.missed for observer in self._all)

    def events_recorded(self, events: Sequence[Event]) -> None:
        """Tell that *events* were appended; duplicates of a retry are not news."""
        for observer in self._of_events:
            for event in events:
                if not event.is_duplicate:
                    observer.put(FACTS[0], event)

    def run_started(self, run: Run) -> None:
        """Tell that *run* became the active run."""
        for observer in self._all:
            observer.put(FACTS[1], run)

    def run_stopped(self, run: Run) -> None:
        """Tell that *run* stopped."""
        for observer in self._all:
            observer.put(FACTS[2], run)

    def close(self, timeout: float) -> None:
        """Deliver what is waiting, for at most *timeout* seconds, and stop."""
        deadline = time.monotonic() + timeout
        for observer in self._all:
            observer.stop()
        for observer in self._all:
            observer.join(deadline)


class _Observer:
    """One plugin's implementations, fed from a bounded queue by a thread started when needed."""

    def __init__(self, name: str, implementations: dict[str, HookImpl]) -> None:
        self.implementations = implementations
        self.missed = 0
        self._name = name
        self._waiting: deque[tuple[str, Event | Run]] = deque()
        self._wake = threading.Semaphore(0)
        self._thread: threading.Thread | None = None

    def put(self, fact: str, subject: Event | Run) -> None:
        if fact not in self.implementations:
            return
        if len(self._waiting) >= MAX_WAITING:
            if not self.missed:
                log.warning("observer %s is too slow and misses facts", self._name)
            self.missed += 1
            return
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._deliver, name=f"telemetry-observer-{self._name}", daemon=True
            )
            self._thread.start()
        self._waiting.append((fact, subject))
        self._wake.release()

    def stop(self) -> None:
        # Each fact wakes the thread once; once more, and it finds nothing and ends.
        self._wake.release()

    def join(self, deadline: float) -> None:
        # The observer itself may be the one that closes the recorder.
        if self._thread is None or self._thread is threading.current_thread():
            return
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            log.warning("observer %s still had %d facts to see", self._name, len(self._waiting))

    def _deliver(self) -> None:
        while True:
            self._wake.acquire()
            if not self._waiting:
                return
            fact, subject = self._waiting.popleft()
            try:
                self._tell(self.implementations[fact], subject)
            except BaseException:  # the thread must go on to the next fact, whatever this one did
                log.exception("observer %s failed in %s", self._name, fact)

    def _tell(self, implementation: HookImpl, subject: Event | Run) -> None:
        # A copy each: what one does to it, the caller and the other observers must not see.
        own = copy_of(subject) if isinstance(subject, Event) else deepcopy(subject)
        implementation.function(*(own for _ in implementation.argnames))
