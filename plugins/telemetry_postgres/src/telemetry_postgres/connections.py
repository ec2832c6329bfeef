"""Connections: made when they are needed, kept while they work, and made anew when they broke."""

from __future__ import annotations

import contextlib
import select
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

import psycopg
from psycopg import Connection, sql
from psycopg.adapt import Loader

from telemetry_core import StorageClosedError, StorageUnavailableError
from telemetry_postgres.failures import RETRY_AFTER_S, reason_of, refusal, told_as_ours
from telemetry_postgres.settings import PostgresSettings

Link = Connection[tuple[Any, ...]]

_BEGIN: Final = (
    # What was acknowledged survives, whatever the server's own default is.
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)


class _JSONText(Loader):
    """Hands over JSON as the text that is stored: an event decodes it on demand."""

    def load(self, data: Any) -> bytes:
        return bytes(data)


def connect(settings: PostgresSettings) -> Link:
    """
    Return a new connection in autocommit.

    Raises:
        StorageUnavailableError: No server of the URL can be used now.
    """
    try:
        link = Connection.connect(settings.conninfo, autocommit=True)
    except psycopg.Error as error:
        raise StorageUnavailableError(settings.place, reason_of(error), RETRY_AFTER_S) from error
    link.prepare_threshold = 5 if settings.prepare else None
    link.adapters.register_loader("json", _JSONText)
    try:
        link.execute(_BEGIN)
    except psycopg.Error as error:
        link.close()
        raise StorageUnavailableError(settings.place, reason_of(error), RETRY_AFTER_S) from error
    return link


def is_usable(link: Link) -> bool:
    """Whether *link* is open, as far as can be told without asking the server."""
    if link.closed:
        return False
    # A server that went away closed its end: then there is something to read, and nothing should.
    readable, _, _ = select.select([link.fileno()], [], [], 0)
    if not readable:
        return True
    try:
        link.pgconn.consume_input()
    except psycopg.Error:
        link.close()
        return False
    return not select.select([link.fileno()], [], [], 0)[0]


class Writer:
    """The one connection that changes the storage; used by one thread at a time."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self._link: Link | None = None
        self._is_closed = False

    def link(self) -> Link:
        """
        Return the connection, made anew where the last one was lost.

        Raises:
            StorageClosedError, StorageUnavailableError: There is none.
        """
        if self._is_closed:
            raise StorageClosedError(self._settings.place)
        if self._link is None or not is_usable(self._link):
            self._link = connect(self._settings)
        return self._link

    def drop(self) -> None:
        """Let go of a connection to a server that cannot be written any more."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def close(self) -> None:
        """Let go for good."""
        self._is_closed = True
        self.drop()


class Readers:
    """A few connections for any number of threads, each of which has one for one statement."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self._free: list[Link] = []
        self._places = threading.BoundedSemaphore(settings.connections)
        self._lock = threading.Lock()
        self._is_closed = False

    @contextlib.contextmanager
    def link(self) -> Iterator[Link]:
        """
        Lend a connection to the block.

        Raises:
            StorageClosedError, StorageUnavailableError: There is none.
        """
        with self._places:
            link = self._take()
            try:
                yield link
            except BaseException:
                # Half an answer may be on its way.
                link.close()
                raise
            self._give_back(link)

    def rows(self, statement: sql.SQL, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """
        Return what *statement*, which changes nothing, answers with.

        Raises:
            StorageClosedError, StorageUnavailableError: It is not answered.
        """
        try:
            return self._ask(statement, parameters)
        except psycopg.OperationalError:
            # Its connection broke, as when a standby took over: any other will do, once.
            with told_as_ours(self._settings.place):
                return self._ask(statement, parameters)
        except psycopg.Error as error:
            raise refusal(error, self._settings.place) from error

    def check_open(self) -> None:
        """
        Return if it was not closed.

        Raises:
            StorageClosedError: It was.
        """
        if self._is_closed:
            raise StorageClosedError(self._settings.place)

    def close(self) -> None:
        """Let go of all that are free; those that are lent are closed when they come back."""
        with self._lock:
            self._is_closed = True
            free, self._free = self._free, []
        for link in free:
            link.close()

    def _ask(self, statement: sql.SQL, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        with self.link() as link:
            return link.execute(statement, parameters).fetchall()

    def _take(self) -> Link:
        self.check_open()
        while True:
            with self._lock:
                link = self._free.pop() if self._free else None
            if link is None:
                return connect(self._settings)
            if is_usable(link):
                return link
            link.close()

    def _give_back(self, link: Link) -> None:
        with self._lock:
            if not self._is_closed and not link.closed:
                self._free.append(link)
                return
        link.close()


def query(text: str, schema: str) -> sql.SQL:
    """Return the statement *text* with `{schema}` filled in, a name that was checked before."""
    return sql.SQL(text.replace("{schema}", schema))
