"""
The two ways a recorder hands batches to a storage, one interface for both.

Where a commit is cheap the caller appends itself, under one lock: measured best for files. Where
it is expensive (a synced disk, a database) a writer thread takes everything that is waiting as one
batch, so that many callers share one commit.
"""

from __future__ import annotations

import copy
import itertools
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from telemetry_core.errors import (
    IdConflictError,
    NoActiveRunError,
    RunActiveError,
    StorageClosedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from telemetry_core.blocks import DraftBlock
    from telemetry_core.clock import Clock
    from telemetry_core.events import CheckedDraft, Event
    from telemetry_core.observers import Observers
    from telemetry_core.routing import Router
    from telemetry_core.storage import Storage

T = TypeVar("T")

_MAX_GROUP = 1000
_ATTEMPTS = 10


class Commit(Protocol):
    """How batches reach the storage: one writing call at a time, in one order."""

    def append(self, batch: Sequence[CheckedDraft], *, durable: bool) -> list[Event]:
        """Route and append *batch*, all or nothing, and return once it was kept."""

    def append_one(self, draft: CheckedDraft, durable: bool) -> Event:  # noqa: FBT001
        """Do the same for a batch of one, the common case, without a list around it."""

    def append_block(self, block: DraftBlock, *, durable: bool) -> Sequence[Event]:
        """Do the same for a *block*."""

    def call(self, action: Callable[[], T]) -> T:
        """Return what *action* returns, called while nothing is appended."""

    def flush(self) -> None:
        """Return once everything appended before survives a power cut."""

    def close(self) -> None:
        """Finish what is waiting and take no more."""


class SharedFlush:
    """
    Flushes a storage once for all threads that ask at about the same time.

    Nobody else is kept from appending meanwhile.
    """

    def __init__(self, storage: Storage) -> None:
        self._flush = storage.flush
        self._tickets = itertools.count(1)
        self._newest = 0
        self._covered = 0
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Return when everything appended before this call survives a power cut."""
        ticket = next(self._tickets)
        self._newest = ticket
        with self._lock:
            if self._covered >= ticket:
                return
            covered = self._newest
            self._flush()
            self._covered = covered


class DirectCommit:
    """The caller's thread appends, under one lock."""

    def __init__(
        self, storage: Storage, router: Router, observers: Observers, clock: Clock
    ) -> None:
        self._lock = threading.Lock()
        self._storage = storage
        self._router = router
        self._append = storage.append
        self._append_one = storage.append_one
        self._flush = SharedFlush(storage)
        self._route = router.route
        self._observers = observers if observers.wants_events else None
        self._clock = clock

    def append_one(self, draft: CheckedDraft, durable: bool) -> Event:  # noqa: FBT001
        with self._lock:
            now_ns = self._clock()
            event = self._append_one(self._route(draft, now_ns), now_ns)
            if self._observers is not None:
                self._observers.events_recorded((event,))
        if durable:
            self._flush()
        return event

    def append(self, batch: Sequence[CheckedDraft], *, durable: bool) -> list[Event]:
        with self._lock:
            now_ns = self._clock()
            for draft in batch:
                self._route(draft, now_ns)
            events = self._append(batch, now_ns)
            if self._observers is not None:
                self._observers.events_recorded(events)
        if durable:
            self._flush()
        return events

    def append_block(self, block: DraftBlock, *, durable: bool) -> Sequence[Event]:
        with self._lock:
            events = _append_block(self._storage, self._router, block, self._clock())
            if self._observers is not None:
                self._observers.events_recorded(events)
        if durable:
            self._flush()
        return events

    def call(self, action: Callable[[], T]) -> T:
        with self._lock:
            return action()

    def flush(self) -> None:
        self._flush()

    def close(self) -> None:
        """Nothing waits here."""


class _Request:
    """Something a caller waits for: a batch to append, or an action to run alone."""

    __slots__ = ("_done", "action", "batch", "durable", "error", "is_routed", "result")

    def __init__(
        self,
        batch: Sequence[CheckedDraft],
        *,
        durable: bool,
        action: Callable[[], Any] | None = None,
    ) -> None:
        self.batch = batch
        self.is_routed = False
        self.durable = durable
        self.action = action
        self.result: Any = None
        self.error: BaseException | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def finish(self) -> None:
        self._done.release()

    def wait(self) -> Any:
        self._done.acquire()
        if self.error is not None:
            raise self.error
        return self.result


class GroupCommit:
    """A writer thread appends everything that is waiting as one batch."""

    def __init__(
        self, storage: Storage, router: Router, observers: Observers, clock: Clock
    ) -> None:
        self._storage = storage
        self._router = router
        self._observers = observers
        self._clock = clock
        self._waiting: deque[_Request] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._write, name="telemetry-writer", daemon=True)
        self._thread.start()

    def append_one(self, draft: CheckedDraft, durable: bool) -> Event:  # noqa: FBT001
        return self._submit(_Request((draft,), durable=durable))[0]  # type: ignore[no-any-return]

    def append(self, batch: Sequence[CheckedDraft], *, durable: bool) -> list[Event]:
        return self._submit(_Request(batch, durable=durable))  # type: ignore[no-any-return]

    def append_block(self, block: DraftBlock, *, durable: bool) -> Sequence[Event]:
        def append() -> Sequence[Event]:
            now_ns = self._clock()
            events = self._to_active_run(
                lambda: _append_block(self._storage, self._router, block, now_ns)
            )
            if self._observers.wants_events:
                self._observers.events_recorded(events)
            if durable:
                self._storage.flush()
            return events

        # There is enough in it for a commit of its own.
        return self.call(append)

    def call(self, action: Callable[[], T]) -> T:
        return self._submit(_Request((), durable=False, action=action))  # type: ignore[no-any-return]

    def flush(self) -> None:
        self.call(self._storage.flush)

    def close(self) -> None:
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def _submit(self, request: _Request) -> Any:
        with self._wake:
            if self._closed:
                raise StorageClosedError(type(self._storage).__name__)
            self._waiting.append(request)
            self._wake.notify()
        return request.wait()

    def _write(self) -> None:
        while True:
            with self._wake:
                while not self._waiting:
                    if self._closed:
                        return
                    self._wake.wait()
                group = self._take_group()
            try:
                self._commit(group)
            finally:
                for request in group:
                    request.finish()

    def _take_group(self) -> list[_Request]:
        """Return the requests to serve together: batches up to the next action, or one action."""
        group = [self._waiting.popleft()]
        size = len(group[0].batch)
        while group[0].action is None and self._waiting and self._waiting[0].action is None:
            size += len(self._waiting[0].batch)
            if size > _MAX_GROUP:
                break
            group.append(self._waiting.popleft())
        return group

    def _commit(self, group: list[_Request]) -> None:
        try:
            if group[0].action is not None:
                group[0].result = group[0].action()
            else:
                self._append(group)
        except IdConflictError as error:
            # One caller's mistake refused the whole group: serve each of them alone.
            if len(group) == 1:
                group[0].error = error
            else:
                for request in group:
                    self._commit([request])
        except BaseException as error:  # noqa: BLE001  # it is raised again in the callers' threads
            for request in group:
                request.error = _copy_of(error)

    def _append(self, group: list[_Request]) -> None:
        now_ns = self._clock()
        for request in group:
            self._route(request, now_ns)
        drafts = [draft for request in group for draft in request.batch]
        events = self._to_active_run(
            lambda: self._storage.append(drafts, now_ns),
            lambda: [self._router.route_again(draft, now_ns) for draft in drafts],
        )
        start = 0
        for request in group:
            end = start + len(request.batch)
            request.result = events[start:end]
            start = end
        if self._observers.wants_events:
            self._observers.events_recorded(events)
        durable = [request for request in group if request.durable]
        if durable:
            try:
                self._storage.flush()
            except BaseException as error:  # noqa: BLE001  # it is for those who asked for the flush
                for request in durable:
                    request.error = _copy_of(error)

    def _to_active_run(
        self, append: Callable[[], T], route_again: Callable[[], object] = lambda: None
    ) -> T:
        """Return what *append* returns, tried anew where others started or stopped a run."""
        for _ in range(_ATTEMPTS):
            try:
                return append()
            except (RunActiveError, NoActiveRunError):
                self._router.set_active_run(self._storage.active_run())
                route_again()
        return append()

    def _route(self, request: _Request, now_ns: int) -> None:
        # Once: a request whose group was refused comes here again, alone.
        if not request.is_routed:
            for draft in request.batch:
                self._router.route(draft, now_ns)
            request.is_routed = True


def _append_block(
    storage: Storage, router: Router, block: DraftBlock, now_ns: int
) -> Sequence[Event]:
    if router.route_block(block, now_ns):
        return storage.append_block(block, now_ns)
    return storage.append(router.route_each(block, now_ns), now_ns)


def _copy_of(error: BaseException) -> BaseException:
    """Return an error each caller can raise for itself, so that tracebacks do not grow together."""
    try:
        mine = copy.copy(error)
    except Exception:  # noqa: BLE001  # a plugin's error may be made in any way
        return error
    mine.__cause__ = error.__cause__
    return mine.with_traceback(error.__traceback__)
