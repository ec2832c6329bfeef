"""Replicas: several processes that serve one socket, over a storage that several may write."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

import orjson
from attrs import define

from telemetry_http.notify import ALIVE, READY, STOPPING, Notifier

log = logging.getLogger(__name__)

Ready = Callable[[str, str], None]
"""Told the URL that is served and what is recorded to."""

_AGAIN_S: Final = 1.0
_END_S: Final = 10.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@define
class _Replica:
    """One process: its end of the pipe tells that it is ready, and closes when it ends."""

    number: int
    pid: int
    pipe: int
    is_ready: bool = False


class Replicas:
    """
    Runs *count* processes, each of which calls *serve* with its number and whom to tell when ready.

    *serve* returns the exit code of its process. *on_ready* is called once, when all are ready.
    One that crashes is started again. When one is asked to stop, or cannot start, all end; when
    this process dies, in whatever way, so do they.
    """

    def __init__(self, count: int, serve: Callable[[int, Ready], int], on_ready: Ready) -> None:
        self._count = count
        self._serve = serve
        self._on_ready = on_ready
        self._running: dict[int, _Replica] = {}
        self._selector = selectors.DefaultSelector()
        self._lifeline, self._parents_end = os.pipe()
        self._notifier = Notifier()
        self._is_announced = False
        self._is_stopping = False
        self._exit_code = 0

    def run(self) -> int:
        """Return, when all have ended, 0 or the exit code of the one that could not start."""
        with self._selector, _signals() as woken:
            self._selector.register(woken, selectors.EVENT_READ)
            try:
                for number in range(self._count):
                    self._start(number)
                while not self._is_stopping:
                    self._look(woken, self._notifier.every_s)
                    self._notifier.tell(ALIVE)
            finally:
                self._end(woken)
        os.close(self._lifeline)
        os.close(self._parents_end)
        return self._exit_code

    def _start(self, number: int) -> None:
        mine, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(mine)
            self._become(number, theirs)
        os.close(theirs)
        self._running[mine] = _Replica(number, pid, mine)
        self._selector.register(mine, selectors.EVENT_READ)

    def _become(self, number: int, pipe: int) -> None:
        """Be the process *number*, and end with it."""
        # What is above this in the stack belongs to the parent: it must not be unwound here.
        try:
            signal.set_wakeup_fd(-1)
            for one in _SIGNALS:
                signal.signal(one, signal.SIG_DFL)
            os.environ.pop("NOTIFY_SOCKET", None)  # systemd listens to the parent
            os.close(self._parents_end)
            threading.Thread(target=_end_with, args=(self._lifeline,), daemon=True).start()

            def ready(url: str, place: str) -> None:
                os.write(pipe, orjson.dumps([url, place]))

            os._exit(self._serve(number, ready))
        except BaseException:
            log.exception("replica %d failed", number)
        finally:
            os._exit(1)

    def _look(self, woken: socket.socket, timeout_s: float | None) -> None:
        """Wait until something happens, and see to it."""
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is woken:
                woken.recv(1024)
                self._is_stopping = True
            else:
                replica = self._running[key.fd]
                told = os.read(replica.pipe, 65536)
                if told:
                    self._ready(replica, *orjson.loads(told))
                else:
                    self._ended(replica)

    def _ready(self, replica: _Replica, url: str, place: str) -> None:
        replica.is_ready = True
        if not self._is_announced and all(one.is_ready for one in self._running.values()):
            self._is_announced = True
            self._notifier.tell(READY)
            self._on_ready(url, place)

    def _ended(self, replica: _Replica) -> None:
        self._selector.unregister(replica.pipe)
        os.close(replica.pipe)
        del self._running[replica.pipe]
        _, status = os.waitpid(replica.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if self._is_stopping:
            return
        if code == 0 or not replica.is_ready:
            self._is_stopping = True
            self._exit_code = code if code >= 0 else 1
            return
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        log.warning("replica %d ended with %s; it is started again", replica.number, how)
        time.sleep(_AGAIN_S)
        self._start(replica.number)

    def _end(self, woken: socket.socket) -> None:
        """Ask all to end, wait for them for a while, and kill those that do not."""
        self._is_stopping = True
        if self._is_announced:
            self._notifier.tell(STOPPING)
        for number, until_s in ((signal.SIGTERM, _END_S), (signal.SIGKILL, None)):
            for replica in self._running.values():
                os.kill(replica.pid, number)
            deadline = None if until_s is None else time.monotonic() + until_s
            while self._running:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    log.warning("%d replicas do not end and are killed", len(self._running))
                    break
                self._look(woken, left)


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """Yield a socket on which something can be read when somebody asks the process to end."""
    woken, wake = socket.socketpair()

    def ignore(_: int, __: FrameType | None) -> None:
        """Do nothing: the number is written to the socket."""

    with woken, wake:
        wake.setblocking(False)  # noqa: FBT003  # the socket's own signature
        before: dict[signal.Signals, Any] = {one: signal.signal(one, ignore) for one in _SIGNALS}
        signal.set_wakeup_fd(wake.fileno())
        try:
            yield woken
        finally:
            signal.set_wakeup_fd(-1)
            for one, handler in before.items():
                signal.signal(one, handler)


def _end_with(lifeline: int) -> None:
    """Ask this process to end when its parent is gone, who never writes anything."""
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)
