"""Runs: started and finished by compare-and-set, at most one of them active."""

from __future__ import annotations

import json
from typing import Any, Final

from psycopg import errors

from telemetry_core import (
    NoActiveRunError,
    Run,
    RunActiveError,
    StorageUnavailableError,
    resumed,
)
from telemetry_postgres.connections import Readers, query
from telemetry_postgres.failures import RETRY_AFTER_S
from telemetry_postgres.rows import RUN, run_of
from telemetry_postgres.settings import PostgresSettings
from telemetry_postgres.transactions import Transactions

_ATTEMPTS: Final = 5

_ALL: Final = f"SELECT {RUN} FROM {{schema}}.run WHERE site_id = %(site)s ORDER BY started_no"
_ACTIVE: Final = f"SELECT {RUN} FROM {{schema}}.run WHERE site_id = %(site)s AND stopped_at IS NULL"
_ONE: Final = f"SELECT {RUN} FROM {{schema}}.run WHERE site_id = %(site)s AND run_id = %(run_id)s"
_INSERT: Final = f"""
INSERT INTO {{schema}}.run (site_id, run_id, started_at, status, directory, meta)
VALUES (%(site)s, %(run_id)s, %(started_at)s, %(status)s, %(directory)s, %(meta)s)
RETURNING {RUN}"""
_RESUME: Final = f"""
UPDATE {{schema}}.run
SET stopped_at = NULL, status = %(status)s, reason = NULL, directory = %(directory)s,
    meta = %(meta)s
WHERE site_id = %(site)s AND run_id = %(run_id)s
RETURNING {RUN}"""
_FINISH: Final = f"""
UPDATE {{schema}}.run
SET stopped_at = %(stopped_at)s, status = %(status)s, reason = %(reason)s
WHERE site_id = %(site)s AND run_id = %(run_id)s AND stopped_at IS NULL
RETURNING {RUN}"""


class Runs:
    """The runs of one site."""

    def __init__(
        self,
        settings: PostgresSettings,
        transactions: Transactions,
        readers: Readers,
        site_id: int,
    ) -> None:
        self._schema = settings.schema
        self._place = settings.place
        self._transactions = transactions
        self._readers = readers
        self._site_id = site_id

    def all(self) -> list[Run]:
        """Return every run, in the order they were first started."""
        return [run_of(row) for row in self._rows(_ALL)]

    def active(self) -> Run | None:
        """Return the active run."""
        return next((run_of(row) for row in self._rows(_ACTIVE)), None)

    def start(self, run: Run) -> Run:
        """Do what `Storage.start_run` promises."""
        for _ in range(_ATTEMPTS):
            active = self.active()
            if active is not None:
                raise RunActiveError(active)
            try:
                return self._start(run)
            except errors.UniqueViolation:
                continue  # another one was quicker; it is told which, unless it ended already
        reason = "other runs start and stop all the time"
        raise StorageUnavailableError(self._place, reason, RETRY_AFTER_S)

    def finish(self, run: Run) -> Run:
        """Do what `Storage.finish_run` promises."""
        row = self._transactions.change(
            query(_FINISH, self._schema),
            {
                "site": self._site_id,
                "run_id": run.run_id,
                "stopped_at": run.stopped_at,
                "status": run.status,
                "reason": run.reason,
            },
        )
        if row is None:
            raise NoActiveRunError(run.run_id)
        return run_of(row)

    def _start(self, run: Run) -> Run:
        named = {"site": self._site_id, "run_id": run.run_id}
        locked = query(f"{_ONE} FOR UPDATE", self._schema)
        with self._transactions.begin(locked, named) as (link, rows):
            before = next(map(run_of, rows), None)
            if before is not None and before.is_active:
                raise RunActiveError(before)
            wanted = resumed(before, run)
            facts = {
                **named,
                "started_at": wanted.started_at,
                "status": wanted.status,
                "directory": wanted.directory,
                "meta": json.dumps(wanted.meta, ensure_ascii=False),
            }
            statement = query(_INSERT if before is None else _RESUME, self._schema)
            kept = link.execute(statement, facts).fetchone()
        return wanted if kept is None else run_of(kept)

    def _rows(self, text: str) -> list[tuple[Any, ...]]:
        return self._readers.rows(query(text, self._schema), {"site": self._site_id})
