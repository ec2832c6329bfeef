"""The thread beside the recording: it tells other processes what is new, and keeps the days."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from psycopg import errors

from telemetry_core import StorageError
from telemetry_postgres.connections import Link, connect
from telemetry_postgres.days import make_partitions, remove_days, turn_day
from telemetry_postgres.failures import reason_of, told_as_ours
from telemetry_postgres.settings import PostgresSettings
from telemetry_postgres.watching import channel

log = logging.getLogger(__name__)

_TELL_S: Final = 0.005
"""A notification takes a lock of the whole database, so many commits share one (measured)."""
_AGAIN_S: Final = 1.0
_LOOK_S: Final = 60.0
_DAYS_S: Final = 3600.0


class Keeper:
    """Works for one opened site, on a connection of its own, until it is closed."""

    def __init__(self, settings: PostgresSettings, site_id: int) -> None:
        self._settings = settings
        self._site_id = site_id
        self._channel = channel(settings.schema, site_id)
        self._news = threading.Event()
        self._seq = 0
        self._closed = threading.Event()
        self._may_keep_days = True
        self._turned_at = self._days_kept_at = float("-inf")
        self._thread = threading.Thread(
            target=self._keep, name="telemetry-postgres-keeper", daemon=True
        )

    def start(self, link: Link) -> None:
        """
        Look after the days once with *link*, so that an append finds its partition, and go on.

        Raises:
            StorageError: The server does not answer.
        """
        with told_as_ours(self._settings.place):
            self._turn_day(link)
        self._thread.start()

    def stored(self, seq: int) -> None:
        """Tell other processes soon that the event *seq* was stored."""
        self._seq = seq
        self._news.set()

    def close(self) -> None:
        """Tell what is yet to be told, and end."""
        self._closed.set()
        self._news.set()
        self._thread.join(self._settings.connect_timeout + _AGAIN_S)

    def _keep(self) -> None:
        is_away = False
        while not self._closed.is_set():
            try:
                with connect(self._settings) as link, told_as_ours(self._settings.place):
                    is_away = False
                    self._work(link)
            except StorageError as error:
                if not is_away:
                    log.warning("other processes are not told what is new: %s", error)
                is_away = True
                self._closed.wait(_AGAIN_S)

    def _work(self, link: Link) -> None:
        link.execute("SET synchronous_commit = off")  # a hint may be lost
        while True:
            if self._news.wait(_LOOK_S) and self._seq:
                self._news.clear()
                self._tell(link)
            if self._closed.is_set():
                return
            self._turn_day(link)
            time.sleep(_TELL_S)

    def _tell(self, link: Link) -> None:
        link.execute("SELECT pg_notify(%s, %s)", (self._channel, str(self._seq)))

    def _turn_day(self, link: Link) -> None:
        """Go on in the partition of today; made ahead it was, some days ago."""
        now = time.monotonic()
        if now - self._turned_at > _LOOK_S:
            self._turned_at = now
            turn_day(link, self._settings.schema, self._site_id)
        if now - self._days_kept_at > _DAYS_S:
            self._days_kept_at = now
            self._keep_days(link)

    def _keep_days(self, link: Link) -> None:
        schema, keep_days = self._settings.schema, self._settings.keep_days
        try:
            make_partitions(link, schema)
            for day in [] if keep_days is None else remove_days(link, schema, keep_days):
                log.info("the day %s was removed from %s", day, self._settings.place)
        except errors.LockNotAvailable as error:
            log.info("the days are kept later: %s", reason_of(error))
        except errors.InsufficientPrivilege as error:
            # It is the owner's to do, who may open the storage or call the command once a day.
            if self._may_keep_days:
                log.warning("this role may not make or remove days: %s", reason_of(error))
            self._may_keep_days = False
