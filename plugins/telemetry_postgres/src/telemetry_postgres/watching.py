"""Waiting for what is new: told by this process, by others through LISTEN, and by asking."""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Callable
from typing import Final

import psycopg
from psycopg import errors

from telemetry_core import StorageClosedError, StorageError, StorageUnavailableError
from telemetry_postgres.connections import Link, connect, query
from telemetry_postgres.failures import told_as_ours
from telemetry_postgres.settings import PostgresSettings

log = logging.getLogger(__name__)

_POLL_S: Final = 1.0
_POLL_STANDBY_S: Final = 0.2
_AGAIN_S: Final = 1.0


def channel(schema: str, site_id: int) -> str:
    """Return the name under which the writers of a site tell that something is new."""
    return f"{schema}_{site_id}"


class Watch:
    """
    The last stored seq, as far as it is known here, and those who wait for it to rise.

    A notification is a hint that saves waiting; the thread also asks every second.
    """

    def __init__(self, settings: PostgresSettings, site_id: int, ask: Callable[[], int]) -> None:
        self._settings = settings
        self._channel = channel(settings.schema, site_id)
        self._ask = ask
        self._changed = threading.Condition()
        self._last = 0
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._wake, self._woken = socket.socketpair()

    def passed(self, seq: int) -> None:
        """Note that the event *seq* was stored."""
        with self._changed:
            if seq > self._last:
                self._last = seq
                self._changed.notify_all()

    def wait(self, after: int, timeout: float | None) -> int:
        """Do what `Storage.wait` promises."""
        if self._last <= after or timeout == 0:
            self.passed(self._ask())
        with self._changed:
            if self._last <= after and timeout != 0:
                self._start()
            self._changed.wait_for(lambda: self._is_closed or self._last > after, timeout)
            if self._is_closed:
                raise StorageClosedError(self._settings.place)
            return self._last

    def close(self) -> None:
        """End every wait, and the thread."""
        with self._changed:
            if self._is_closed:
                return
            self._is_closed = True
            self._changed.notify_all()
            thread = self._thread
        self._wake.close()
        if thread is not None:
            thread.join(self._settings.connect_timeout + _AGAIN_S)
        else:
            self._woken.close()

    def _start(self) -> None:
        if self._thread is None and not self._is_closed:
            name = "telemetry-postgres-watch"
            self._thread = threading.Thread(target=self._watch, name=name, daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        is_away = False
        with self._woken:
            while not self._is_closed:
                try:
                    with connect(self._settings) as link:
                        is_away = False
                        self._listen(link)
                except StorageError as error:
                    if not is_away:
                        log.warning("what is new cannot be heard of: %s; trying again", error)
                    is_away = True
                    self._pause(_AGAIN_S)

    def _listen(self, link: Link) -> None:
        """Note what *link* tells, until it breaks or this is closed."""
        poll_s = _POLL_S
        with told_as_ours(self._settings.place):
            try:
                link.execute(query(f'LISTEN "{self._channel}"', self._settings.schema))
            except (errors.FeatureNotSupported, errors.ReadOnlySqlTransaction):
                poll_s = _POLL_STANDBY_S  # a standby tells nobody anything
        # Behind the LISTEN, so that nothing falls in between.
        self.passed(self._ask())
        while not self._is_closed:
            ready, _, _ = select.select([link.fileno(), self._woken.fileno()], [], [], poll_s)
            if not ready:
                self.passed(self._ask())
            elif link.fileno() in ready:
                self._hear(link)

    def _hear(self, link: Link) -> None:
        try:
            link.pgconn.consume_input()
        except psycopg.Error as error:
            link.close()
            raise StorageUnavailableError(self._settings.place, "the connection broke") from error
        while (told := link.pgconn.notifies()) is not None:
            self.passed(int(told.extra))

    def _pause(self, seconds: float) -> None:
        select.select([self._woken], [], [], seconds)
