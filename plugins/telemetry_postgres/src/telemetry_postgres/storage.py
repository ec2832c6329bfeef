"""PostgresStorage: the contract of a storage, over the modules that keep it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Final

from telemetry_core import (
    EVERYTHING,
    Capabilities,
    CheckedDraft,
    Event,
    Run,
    Selection,
    Snapshot,
    Storage,
    StorageReadOnlyError,
    StorageUnavailableError,
    UnsupportedError,
)
from telemetry_postgres.appending import Appender
from telemetry_postgres.connections import Link, Readers, Writer, query
from telemetry_postgres.failures import told_as_ours
from telemetry_postgres.keeper import Keeper
from telemetry_postgres.reading import Reader
from telemetry_postgres.replicating import Replicator
from telemetry_postgres.running import Runs
from telemetry_postgres.schema import upgrade
from telemetry_postgres.settings import PostgresSettings
from telemetry_postgres.transactions import Transactions
from telemetry_postgres.views import OURS, view_statement
from telemetry_postgres.watching import Watch

_LOOKED_AT: Final = 1000
_SITE: Final = "SELECT site_id FROM {schema}.site WHERE name = %(name)s"
_NEW_SITE: Final = "INSERT INTO {schema}.site (name) VALUES (%(name)s) ON CONFLICT DO NOTHING"
_REPLICATED: Final = "SELECT current_setting('synchronous_standby_names') <> ''"
_WRITABLE: Final = "SELECT NOT pg_is_in_recovery()"


class PostgresStorage(Storage):
    """
    Keeps one site in a PostgreSQL database, beside any number of others and of other writers.

    What `append` returned is committed, and with synchronous standbys it is there, too. A
    connection that was lost is made anew by the next call, to whichever server can be written.

    Raises:
        StorageUnavailableError: The server does not answer, or its tables cannot be used.
        StorageReadOnlyError: This role may not add the site.
    """

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self._readers = Readers(settings)
        self._writer = Writer(settings)
        self._keeper: Keeper | None = None
        with ExitStack() as opened:
            opened.callback(self._readers.close)
            opened.callback(self._writer.close)
            with self._readers.link() as link:
                self._open(link, opened)
            self._opened = opened.pop_all()

    def _open(self, link: Link, opened: ExitStack) -> None:
        """Make all that stands on the tables; what has to be closed goes to *opened*."""
        settings = self._settings
        upgrade(link, settings)
        with told_as_ours(settings.place):
            site_id = _site_id(link, settings)
            row = link.execute(_REPLICATED).fetchone()
        self._is_replicated = row == (True,)
        transactions = Transactions(self._writer, settings.place)
        self._runs = Runs(settings, transactions, self._readers, site_id)
        self._appender = Appender(settings, transactions, site_id, self._runs.active)
        self._replicator = Replicator(settings, transactions, site_id)
        self._reader = Reader(self._readers, settings.schema, site_id)
        self._watch = Watch(settings, site_id, self._reader.head)
        opened.callback(self._watch.close)
        if not settings.read_only:
            self._keeper = Keeper(settings, site_id)
            self._keeper.start(link)
            opened.callback(self._keeper.close)

    @property
    def capabilities(self) -> Capabilities:
        """What PostgreSQL can do, and whether there are standbys to wait for."""
        return Capabilities(
            costly_commit=True,
            shared_writers=True,
            keeps_ephemeral=True,
            replicates=True,
            replicated=self._is_replicated,
            max_event_bytes=self._settings.max_event_bytes,
        )

    def append(self, drafts: Sequence[CheckedDraft], recorded_ns: int) -> list[Event]:  # noqa: ARG002
        self._check_writer()
        events = self._appender.append(drafts)
        self._stored(events)
        return events

    def read(self, selection: Selection = EVERYTHING) -> Iterator[Event]:
        return self._reader.read(selection)

    def current(self) -> Snapshot:
        return self._reader.current()

    def start_run(self, run: Run) -> Run:
        self._check_writer()
        return self._runs.start(run)

    def finish_run(self, run: Run) -> Run:
        self._check_writer()
        return self._runs.finish(run)

    def runs(self) -> Iterator[Run]:
        return iter(self._runs.all())

    def active_run(self) -> Run | None:
        return self._runs.active()

    def wait(self, after: int, timeout: float | None = None) -> int:
        self._readers.check_open()
        return self._watch.wait(after, timeout)

    def removed_through(self) -> int:
        return self._reader.removed_through()

    def replicate(self, events: Sequence[Event]) -> None:
        self._check_writer()
        self._replicator.replicate(events)
        self._stored(events)

    def flush(self) -> None:
        """Return: what `append` returned was committed."""
        self._readers.check_open()

    def check_writable(self) -> None:
        self._check_writer()
        if self._readers.rows(query(_WRITABLE, self._settings.schema), {}) != [(True,)]:
            raise StorageReadOnlyError(self._settings.place)

    def make_view(self, type_: str, name: str | None = None) -> str:
        """
        Make a view of the events of *type_* with a column for each field; return its full name.

        The columns are those of the last thousand events of this site. Made again it is replaced.

        Raises:
            UnsupportedError: There is no such event, or *name* is one of the views that are ours.
            StorageError: As for `append`, or the role may not make it.
        """
        self._check_writer()
        place, schema = self._settings.place, self._settings.schema
        called = name or re.sub(r"\W+", "_", type_).lower()
        if called in OURS:
            raise UnsupportedError(place, f"call a view of yours {called!r}; give another name")
        events = list(self.read(Selection(types=type_, last=_LOOKED_AT)))
        if not events:
            raise UnsupportedError(place, f"make a view of {type_!r}, of which it has no event")
        with told_as_ours(place), self._readers.link() as link, link.transaction():
            link.execute(view_statement(schema, called, type_, events))
        return f"{schema}.{called}"

    def close(self) -> None:
        self._opened.close()

    def _stored(self, events: Sequence[Event]) -> None:
        """Tell those who wait that *events* are there."""
        kept = (one.seq for one in reversed(events) if one.store_permanently)
        last = next(kept, 0)
        if last:
            self._watch.passed(last)
            if self._keeper is not None:
                self._keeper.stored(last)

    def _check_writer(self) -> None:
        self._readers.check_open()
        if self._settings.read_only:
            raise StorageReadOnlyError(self._settings.place)


def _site_id(link: Link, settings: PostgresSettings) -> int:
    """Return the number of the site, which is added if it is new."""
    named = {"name": settings.site}
    row = link.execute(query(_SITE, settings.schema), named).fetchone()
    if row is None and not settings.read_only:
        link.execute(query(_NEW_SITE, settings.schema), named)
        row = link.execute(query(_SITE, settings.schema), named).fetchone()
    if row is None:
        raise StorageUnavailableError(settings.place, f"it has no site {settings.site!r}")
    return int(row[0])
