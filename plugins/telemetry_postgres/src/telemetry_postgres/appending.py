"""Appending: one statement for the usual batch, COPY for a large one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from psycopg import errors

from telemetry_core import (
    CheckedDraft,
    Event,
    NoActiveRunError,
    Run,
    RunActiveError,
    StorageUnavailableError,
    duplicate_of,
)
from telemetry_postgres.connections import Link, query
from telemetry_postgres.failures import RETRY_AFTER_S
from telemetry_postgres.rows import EVENT, Rows, event_of
from telemetry_postgres.settings import PostgresSettings
from telemetry_postgres.statements import (
    LOCK_RUN,
    LOCK_SITE,
    Shape,
    append_statement,
    beside_statement,
    copy_statement,
    give_statement,
)
from telemetry_postgres.transactions import Transactions

COPY_FROM: Final = 200
"""From so many events on COPY is quicker than one statement (measured)."""

_KNOWN: Final = f"""
SELECT {", ".join(f"e.{name}" for name in EVENT.split(", "))}
FROM {{schema}}.event_id i JOIN {{schema}}.event e USING (site_id, seq, day)
WHERE i.site_id = %(site)s AND i.id = ANY(%(ids)s)"""


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
        rows = Rows.of(enumerate(drafts, 1))
        shape = _shape(drafts, run_id)
        if len(drafts) < COPY_FROM:
            statement = append_statement(self._schema, shape)
            row = self._transactions.change(statement, self._parameters(rows, run_id))
            base = self._base(row, run_id)
        else:
            with self._transactions.begin() as link:
                base = self._copy(link, rows, shape, run_id)
        return [draft.recorded(base + place) for place, draft in enumerate(drafts, 1)]

    def _append_unknown(
        self, drafts: Sequence[CheckedDraft], run_id: str | None, ids: list[str]
    ) -> list[Event]:
        """Append those of *drafts* whose ids are not known, and answer with those that are."""
        mine = {"site": self._site_id, "run": run_id, "ids": ids}
        with self._transactions.begin() as link:
            if run_id is not None and not self._ask(link, LOCK_RUN, mine):
                raise NoActiveRunError(run_id)
            ((base,),) = self._ask(link, LOCK_SITE, mine)
            # Behind the lock nobody else can store an id any more.
            known = {event.id: event for event in map(event_of, self._ask(link, _KNOWN, mine))}
            answer, new = _told_apart(drafts, known, base)
            if new:
                shape = _shape(new, run_id)
                rows = Rows.of(enumerate(new, 1))
                if len(new) < COPY_FROM:
                    statement = append_statement(self._schema, shape)
                    row = link.execute(statement, self._parameters(rows, run_id)).fetchone()
                    self._base(row, run_id)
                else:
                    self._copy(link, rows, shape, run_id)
        return answer

    def _copy(self, link: Link, rows: Rows, shape: Shape, run_id: str | None) -> int:
        """Append *rows* in the transaction of *link*, and return the seq before them."""
        numbers = {"site": self._site_id, "run": run_id, "n": len(rows), "last": rows.last_stored}
        row = link.execute(give_statement(self._schema, shape), numbers).fetchone()
        base = self._base(row, run_id)
        day = row[1] if row else None
        with link.cursor().copy(copy_statement(self._schema)) as copy:
            for copied in rows.copied(self._site_id, base, day):
                copy.write_row(copied)
        beside = rows if shape.ids or shape.run else rows.latest()
        if beside.rows:
            link.execute(
                beside_statement(self._schema, _of_many(shape, beside)),
                {**self._parameters(beside, run_id), "base": base, "day": day},
            )
        return base

    def _parameters(self, rows: Rows, run_id: str | None) -> dict[str, Any]:
        return {
            **rows.parameters(),
            "site": self._site_id,
            "run": run_id,
            "n": len(rows),
            "last": rows.last_stored,
        }

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

    def _ask(self, link: Link, text: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        return link.execute(query(text, self._schema), parameters).fetchall()


def _is_ephemeral_with_id(draft: CheckedDraft) -> bool:
    return draft.id is not None and not draft.store_permanently


def _shape(drafts: Sequence[CheckedDraft], run_id: str | None) -> Shape:
    return Shape(
        many=len(drafts) > 1,
        run=run_id is not None,
        no_run=any(draft.assumes_no_run for draft in drafts),
        ids=any(draft.id is not None for draft in drafts),
        latest=any(draft.make_current for draft in drafts),
    )


def _of_many(shape: Shape, rows: Rows) -> Shape:
    return Shape(
        many=len(rows) > 1, run=shape.run, no_run=False, ids=shape.ids, latest=shape.latest
    )


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
