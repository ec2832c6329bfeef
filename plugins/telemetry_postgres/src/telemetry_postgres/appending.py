"""Appending: one statement for the usual batch, COPY for a large one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import frozen
from psycopg import errors
from psycopg.sql import SQL

from telemetry_core import (
    CheckedDraft,
    Event,
    NoActiveRunError,
    Run,
    RunActiveError,
    StorageUnavailableError,
    duplicate_of,
)
from telemetry_postgres.batch import Batch
from telemetry_postgres.connections import Link, query
from telemetry_postgres.failures import RETRY_AFTER_S
from telemetry_postgres.rows import EVENT, event_of
from telemetry_postgres.settings import PostgresSettings
from telemetry_postgres.statements import (
    LOCK,
    Shape,
    append_statement,
    number_statement,
    write_copy,
)
from telemetry_postgres.transactions import Transactions

COPY_FROM: Final = 200
"""From so many events on a COPY is worth the second round trip that it takes."""

_KNOWN: Final = f"""
SELECT {", ".join(f"e.{name}" for name in EVENT.split(", "))}
FROM {{schema}}.event_id i JOIN {{schema}}.event e USING (site_id, seq, day)
WHERE i.site_id = %(site)s AND i.id = ANY(%(ids)s)"""


@frozen
class _Plan:
    """What is sent for a batch; a large one is numbered by the statement and then copied."""

    batch: Batch
    run_id: str | None
    statement: SQL
    parameters: dict[str, Any]
    is_copied: bool


class Appender:
    """
    Appends batches to one site.

    The row of the site is locked before anything is inserted, and held until the commit: so the
    order of seqs is the order of commits, which is the order in which readers see events.
    """

    def __init__(
        self,
        settings: PostgresSettings,
        transactions: Transactions,
        site_id: int,
        active_run: Callable[[], Run | None],
    ) -> None:
        self._schema = settings.schema
        self._place = settings.place
        self._transactions = transactions
        self._site_id = site_id
        self._active_run = active_run

    def append(self, drafts: Sequence[CheckedDraft]) -> list[Event]:
        """Do what `Storage.append` promises."""
        if not drafts:
            return []
        run_id = self._run_of(drafts)
        ids = [draft.id for draft in drafts if draft.id is not None]
        # An ephemeral event leaves no id that could collide, so it has to be looked for.
        if len(ids) == len(set(ids)) and not any(map(_is_ephemeral_with_id, drafts)):
            try:
                return self._append_new(drafts, run_id)
            except errors.UniqueViolation:
                pass  # some were stored before: look which ones
        return self._append_unknown(drafts, run_id, ids)

    def _append_new(self, drafts: Sequence[CheckedDraft], run_id: str | None) -> list[Event]:
        """Append *drafts*, none of whose ids may be known."""
        plan = self._plan(drafts, run_id)
        if plan.is_copied:
            with self._transactions.begin(plan.statement, plan.parameters) as (link, rows):
                base = self._copy(link, plan, rows)
        else:
            row = self._transactions.change(plan.statement, plan.parameters)
            base = self._base(row, run_id)
        return [draft.recorded(base + place) for place, draft in enumerate(drafts, 1)]

    def _append_unknown(
        self, drafts: Sequence[CheckedDraft], run_id: str | None, ids: list[str]
    ) -> list[Event]:
        """Append those of *drafts* whose ids are not known, and answer with those that are."""
        mine = {"site": self._site_id, "runs": [] if run_id is None else [run_id], "ids": ids}
        with self._transactions.begin(query(LOCK, self._schema), mine) as (link, locked):
            ((base, active_id),) = locked
            if active_id != run_id:
                raise NoActiveRunError(run_id)
            # Behind the lock nobody else can store an id any more.
            rows = link.execute(query(_KNOWN, self._schema), mine).fetchall()
            known = {event.id: event for event in map(event_of, rows)}
            answer, new = _told_apart(drafts, known, base)
            if new:
                plan = self._plan(new, run_id)
                rows = link.execute(plan.statement, plan.parameters).fetchall()
                if plan.is_copied:
                    self._copy(link, plan, rows)
                else:
                    self._base(next(iter(rows), None), run_id)
        return answer

    def _plan(self, drafts: Sequence[CheckedDraft], run_id: str | None) -> _Plan:
        batch = Batch.of(enumerate(drafts, 1))
        is_copied = len(batch) >= COPY_FROM
        told = batch.only_latest() if is_copied else batch
        shape = Shape(
            many=len(told) > 1,
            run=run_id is not None,
            no_run=any(draft.assumes_no_run for draft in drafts),
            ids=any(draft.id is not None for draft in drafts),
            latest=bool(batch.latest),
        )
        parameters = {
            "site": self._site_id,
            "run": run_id,
            "n": len(batch),
            "last": batch.last_stored,
            **(told.fields() if told.numbered else {}),
            **(batch.ids() if shape.ids else {}),
            **(batch.counted() if shape.run else {}),
        }
        statement = number_statement if is_copied else append_statement
        return _Plan(batch, run_id, statement(self._schema, shape), parameters, is_copied)

    def _copy(self, link: Link, plan: _Plan, rows: list[tuple[Any, ...]]) -> int:
        """Write the history of what was numbered as *rows* say, and return the seq before it."""
        base = self._base(next(iter(rows), None), plan.run_id)
        write_copy(link, self._schema, plan.batch.copied(self._site_id, base, rows[0][1]))
        return base

    def _base(self, row: tuple[Any, ...] | None, run_id: str | None) -> int:
        """Return the seq before the batch, or raise what the conditions of *row* stood for."""
        if row is not None:
            return int(row[0])
        if run_id is not None:
            raise NoActiveRunError(run_id)
        active = self._active_run()
        if active is not None:
            raise RunActiveError(active)
        reason = "the site is gone, or its runs changed meanwhile"
        raise StorageUnavailableError(self._place, reason, RETRY_AFTER_S)

    def _run_of(self, drafts: Sequence[CheckedDraft]) -> str | None:
        """Return the run of *drafts*, which can be one only."""
        run_ids = {draft.run_id: None for draft in drafts if draft.run_id is not None}
        if len(run_ids) > 1:
            active = self._active_run()
            name = None if active is None else active.run_id
            raise NoActiveRunError(next(one for one in run_ids if one != name))
        return next(iter(run_ids), None)


def _is_ephemeral_with_id(draft: CheckedDraft) -> bool:
    return draft.id is not None and not draft.store_permanently


def _told_apart(
    drafts: Sequence[CheckedDraft], known: dict[str | None, Event], base: int
) -> tuple[list[Event], list[CheckedDraft]]:
    """Return the answer to *drafts*, numbered from behind *base*, and those to be stored."""
    answer: list[Event] = []
    new: list[CheckedDraft] = []
    for draft in drafts:
        before = None if draft.id is None else known.get(draft.id)
        if before is not None:
            answer.append(duplicate_of(draft, before))
            continue
        new.append(draft)
        event = draft.recorded(base + len(new))
        answer.append(event)
        if draft.id is not None:
            known[draft.id] = event
    return answer, new
