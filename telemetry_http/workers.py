"""Workers: the threads in which requests wait for the storage, so that one that hangs harms few."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from telemetry_core import OutcomeUnknownError, StorageUnavailableError
from telemetry_http.errors import BusyError

T = TypeVar("T")

STORAGE_TIMEOUT_S: Final = 30.0


class Workers:
    """
    At most *threads* threads of its own for calls that may take long, and *waiting* calls before.

    Every call is answered within *timeout_s* seconds; *changes* says that one without an answer
    may have changed something. A thread whose call never ends is lost to
    the others and no more: they are daemons, so that they cannot keep the process from ending.
    """

    def __init__(
        self, name: str, *, threads: int, waiting: int, timeout_s: float, changes: bool
    ) -> None:
        self._name = name
        self._unanswered = OutcomeUnknownError if changes else StorageUnavailableError
        self._threads = threads
        self._timeout_s = timeout_s
        self._waiting: queue.Queue[_Call] = queue.Queue(waiting)
        self._started = 0
        self._idle = threading.Semaphore(0)
        self._running: set[_Call] = set()
        self._answered_since = 0.0
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """How many calls wait for a thread."""
        return self._waiting.qsize()

    @property
    def hangs_s(self) -> float | None:
        """
        How long the oldest call has been without an answer, if that is longer than one waits.

        `None` also when another one was answered that began later: a lost thread says nothing of
        how the storage is now.
        """
        with self._lock:
            oldest = min((call.began for call in self._running), default=None)
            if oldest is None or self._answered_since > oldest:
                return None
        seconds = time.monotonic() - oldest
        return seconds if seconds >= self._timeout_s else None

    async def call(self, function: Callable[[], T]) -> T:
        """
        Return what *function* returns, called in one of the threads.

        Raises:
            BusyError: No thread came to it in time, or too many wait already; it was not called.
            OutcomeUnknownError, StorageUnavailableError: It was called and did not end in time; it
                may still do so.
        """
        call = _Call(function, asyncio.get_running_loop())
        self._put(call)
        try:
            await asyncio.wait((call.future,), timeout=self._timeout_s)
            if call.future.done():
                result: T = call.future.result()
                return result
            was_called = not call.take()
        finally:
            # Also when nobody waits any more: what was not begun is not to be done behind his back.
            call.take()
            call.future.cancel()
        if was_called:
            reason = f"no answer within {self._timeout_s:g} s"
            raise self._unanswered(self._name, reason)
        raise BusyError(f"nobody came to it within {self._timeout_s:g} s")

    def _put(self, call: _Call) -> None:
        try:
            self._waiting.put_nowait(call)
        except queue.Full:
            raise BusyError(f"{self._waiting.maxsize} requests wait for it") from None
        if self._idle.acquire(blocking=False):
            return
        with self._lock:
            if self._started == self._threads:
                return
            self._started += 1
        threading.Thread(target=self._work, name=f"telemetry-{self._name}", daemon=True).start()

    def _work(self) -> None:
        call = self._next() or self._waiting.get()
        while True:
            call.began = time.monotonic()
            with self._lock:
                self._running.add(call)
            tell = call.run()
            with self._lock:
                self._running.discard(call)
                self._answered_since = max(self._answered_since, call.began)
            # Free before it tells: whoever asks again at once needs no new thread.
            following = self._next()
            tell()
            # What it returned may be large, and the next call may be long in coming.
            del tell, call
            call = following or self._waiting.get()

    def _next(self) -> _Call | None:
        """Return a call that waits; without one the thread counts as idle from now on."""
        try:
            return self._waiting.get_nowait()
        except queue.Empty:
            self._idle.release()
            return None


class _Call:
    """One call, taken once: by the thread that runs it, or by whoever waited too long for it."""

    def __init__(self, function: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[Any] = loop.create_future()
        self.began = 0.0
        self._function = function
        self._loop = loop
        self._untaken = threading.Lock()

    def take(self) -> bool:
        """Whether nobody took it before."""
        return self._untaken.acquire(blocking=False)

    def run(self) -> Callable[[], None]:
        """Do what is asked for, and return what tells whoever waits of it."""
        if not self.take():
            return _tell_nobody
        try:
            result, error = self._function(), None
        except BaseException as raised:  # noqa: BLE001  # it is raised again where it is awaited
            # A future cannot carry the end of an iterator.
            is_end = isinstance(raised, StopIteration)
            result, error = None, RuntimeError("the iterator ended") if is_end else raised
        return partial(self._tell, result, error)

    def _tell(self, result: Any, error: BaseException | None) -> None:
        # The loop may have ended before: nobody waits any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish, result, error)

    def _finish(self, result: Any, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)


def _tell_nobody() -> None:
    """Whoever asked has been told that it takes too long."""
