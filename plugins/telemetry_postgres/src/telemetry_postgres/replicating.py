"""Replicating: events under the seqs that another storage gave them, each once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from telemetry_core import Event, IdConflictError, NoActiveRunError
from telemetry_postgres.batch import Batch
from telemetry_postgres.connections import Link, query
from telemetry_postgres.rows import CURRENT, EVENT, current_of, event_of
from telemetry_postgres.settings import PostgresSettings
from telemetry_postgres.statements import LOCK, Shape, replicate_statement, write_copy
from telemetry_postgres.transactions import Transactions

_STORED: Final = f"""
SELECT {EVENT} FROM {{schema}}.event
WHERE site_id = %(site)s AND seq >= %(first)s AND seq = ANY(%(seqs)s)"""
_CURRENT: Final = f"""
SELECT {CURRENT} FROM {{schema}}.current_value
WHERE site_id = %(site)s AND seq = ANY(%(seqs)s)"""


class Replicator:
    """Takes events of one site from elsewhere."""

    def __init__(
        self, settings: PostgresSettings, transactions: Transactions, site_id: int
    ) -> None:
        self._schema = settings.schema
        self._transactions = transactions
        self._site_id = site_id

    def replicate(self, events: Sequence[Event]) -> None:
        """Do what `Storage.replicate` promises."""
        if not events:
            return
        seqs = [event.seq for event in events]
        runs = sorted({event.run_id for event in events if event.run_id is not None})
        mine = {"site": self._site_id, "first": seqs[0], "seqs": seqs, "runs": runs}
        with self._transactions.begin(query(LOCK, self._schema), mine) as (link, locked):
            ((last_seq, run_id),) = locked
            known = self._known(link, mine) if seqs[0] <= last_seq else {}
            new = [event for event in events if not _is_known(event, known)]
            for event in new:
                if event.run_id not in (None, run_id):
                    raise NoActiveRunError(event.run_id)
            if new:
                self._keep(link, Batch.of((event.seq, event) for event in new), run_id)

    def _keep(self, link: Link, batch: Batch, run_id: str | None) -> None:
        told = batch.only_latest()
        shape = Shape(
            many=len(told) > 1, run=run_id is not None, ids=True, latest=bool(told.numbered)
        )
        parameters = {
            "site": self._site_id,
            "run": run_id,
            "n": batch.numbered[-1][0],
            "last": batch.last_stored,
            **(told.fields() if told.numbered else {}),
            **batch.ids(),
            **batch.counted(),
        }
        row = link.execute(replicate_statement(self._schema, shape), parameters).fetchone()
        day = row[1] if row else None
        write_copy(link, self._schema, batch.copied(self._site_id, 0, day))

    def _known(self, link: Link, mine: dict[str, Any]) -> dict[int, Event]:
        """Return what is kept under the seqs of *mine*."""
        current = link.execute(query(_CURRENT, self._schema), mine).fetchall()
        stored = link.execute(query(_STORED, self._schema), mine).fetchall()
        events = [*map(current_of, current), *map(event_of, stored)]
        return {event.seq: event for event in events}


def _is_known(event: Event, known: dict[int, Event]) -> bool:
    """Whether *event* is kept under its seq; raises if another one is."""
    kept = known.get(event.seq)
    if kept is None:
        return False
    if kept != event:
        raise IdConflictError(event.id or "", event.seq)
    return True
