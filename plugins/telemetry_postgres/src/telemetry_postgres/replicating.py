"""Replicating: events under the seqs that another storage gave them, each once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from telemetry_core import Event, IdConflictError, NoActiveRunError
from telemetry_postgres.connections import Link, query
from telemetry_postgres.rows import CURRENT, EVENT, Rows, current_of, event_of
from telemetry_postgres.settings import PostgresSettings
from telemetry_postgres.statements import (
    LOCK_RUN,
    LOCK_SITE,
    Shape,
    beside_statement,
    copy_statement,
)
from telemetry_postgres.transactions import Transactions

_RAISE: Final = """
UPDATE {schema}.site
SET last_seq = greatest(last_seq, %(seq)s::bigint),
    last_stored = greatest(last_stored, %(last)s::bigint)
WHERE site_id = %(site)s
RETURNING day"""
_STORED: Final = f"""
SELECT {EVENT} FROM {{schema}}.event
WHERE site_id = %(site)s AND seq BETWEEN %(first)s AND %(seq)s AND seq = ANY(%(seqs)s)"""
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
        asked = {"site": self._site_id, "first": seqs[0], "seq": seqs[-1], "seqs": seqs}
        with self._transactions.begin() as link:
            run_ids = {event.run_id for event in events if event.run_id is not None}
            locked = [one for one in sorted(run_ids) if self._ask(link, LOCK_RUN, run=one)]
            ((last_seq,),) = self._ask(link, LOCK_SITE)
            known = self._known(link, asked) if seqs[0] <= last_seq else {}
            new = [event for event in events if not _is_known(event, known)]
            for event in new:
                if event.run_id is not None and event.run_id not in locked:
                    raise NoActiveRunError(event.run_id)
            if new:
                self._keep(link, Rows.of((event.seq, event) for event in new), locked)

    def _keep(self, link: Link, rows: Rows, run_ids: list[str]) -> None:
        seq, last = rows.rows[-1][0], rows.last_stored
        ((day,),) = self._ask(link, _RAISE, seq=seq, last=last)
        with link.cursor().copy(copy_statement(self._schema)) as copy:
            for copied in rows.copied(self._site_id, 0, day):
                copy.write_row(copied)
        shape = Shape(many=len(rows) > 1, run=bool(run_ids), no_run=False, ids=True, latest=True)
        link.execute(
            beside_statement(self._schema, shape, replicated=True),
            {
                **rows.parameters(),
                "site": self._site_id,
                "run": run_ids[0] if run_ids else None,
                "base": 0,
                "day": day,
            },
        )

    def _known(self, link: Link, asked: dict[str, Any]) -> dict[int, Event]:
        """Return what is kept under the seqs that are *asked* for."""
        current = map(current_of, self._ask(link, _CURRENT, **asked))
        stored = map(event_of, self._ask(link, _STORED, **asked))
        return {event.seq: event for events in (current, stored) for event in events}

    def _ask(self, link: Link, text: str, **parameters: Any) -> list[tuple[Any, ...]]:
        statement = query(text, self._schema)
        return link.execute(statement, {"site": self._site_id, **parameters}).fetchall()


def _is_known(event: Event, known: dict[int, Event]) -> bool:
    """Whether *event* is kept under its seq; raises if another one is."""
    kept = known.get(event.seq)
    if kept is None:
        return False
    if kept != event:
        raise IdConflictError(event.id or "", event.seq)
    return True
