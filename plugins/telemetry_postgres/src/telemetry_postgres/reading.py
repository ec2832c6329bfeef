"""Reading: page after page, so that a reader that stops or rests holds nothing in the database."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from psycopg.sql import SQL

from telemetry_core import Event, Selection, Snapshot
from telemetry_postgres.connections import Readers, query
from telemetry_postgres.rows import CURRENT, EVENT, current_of, event_of

_FIRST_PAGE: Final = 16
_LAST_PAGE: Final = 1024
_GROWTH: Final = 4
_PAGE_BYTES: Final = 1024 * 1024

_HEAD: Final = "SELECT last_stored FROM {schema}.site WHERE site_id = %(site)s"
_REMOVED: Final = "SELECT removed_through FROM {schema}.site WHERE site_id = %(site)s"
# No partition is opened that ends below the cursor.
_FROM: Final = """
FROM {schema}.event
WHERE site_id = %(site)s AND seq > %(after)s AND seq <= %(head)s
    AND day >= coalesce(
        (SELECT day FROM {schema}.closed_day WHERE site_id = %(site)s AND last_seq > %(after)s
            ORDER BY last_seq LIMIT 1),
        (SELECT day FROM {schema}.site WHERE site_id = %(site)s))"""
_RUN: Final = """
    AND run_id = %(run)s AND seq BETWEEN
        (SELECT first_seq FROM {schema}.run WHERE site_id = %(site)s AND run_id = %(run)s)
        AND (SELECT last_seq FROM {schema}.run WHERE site_id = %(site)s AND run_id = %(run)s)"""
_CURRENT: Final = f"""
SELECT s.last_seq, {", ".join(f"c.{name}" for name in CURRENT.split(", "))}
FROM {{schema}}.site s LEFT JOIN {{schema}}.current_value c USING (site_id)
WHERE s.site_id = %(site)s ORDER BY c.seq"""


class Reader:
    """Reads the history of one site; may be used by any number of threads."""

    def __init__(self, readers: Readers, schema: str, site_id: int) -> None:
        self._readers = readers
        self._schema = schema
        self._site_id = site_id

    def read(self, selection: Selection) -> Iterator[Event]:
        """Do what `Storage.read` promises."""
        self._readers.check_open()
        return self._pages(selection)

    def head(self) -> int:
        """Return the seq of the last event that was stored, 0 if none was."""
        return self._number(_HEAD)

    def removed_through(self) -> int:
        """Return the highest seq of the days that were removed, 0 if none was."""
        return self._number(_REMOVED)

    def current(self) -> Snapshot:
        """Do what `Storage.current` promises."""
        rows = self._readers.rows(query(_CURRENT, self._schema), {"site": self._site_id})
        events = [current_of(row[1:]) for row in rows if row[1] is not None]
        as_of_seq = rows[0][0] if rows else 0
        return Snapshot(as_of_seq, {event.type: event for event in events})

    def _pages(self, selection: Selection) -> Iterator[Event]:
        if 0 in (selection.limit, selection.last):
            self._readers.check_open()
            return
        asked = _conditions(selection)
        parameters = {
            "site": self._site_id,
            "head": self.head(),
            "after": selection.after,
            "run": selection.run,
            "types": list(selection.types),
            "since": selection.since_ns,
            "until": selection.until_ns,
            "skipped": (selection.last or 1) - 1,
        }
        if selection.last is not None:
            start = self._readers.rows(_start_statement(self._schema, asked), parameters)
            if start:
                parameters["after"] = start[0][0] - 1
        left = selection.limit
        size = _FIRST_PAGE
        while True:
            rows = self._readers.rows(_page_statement(self._schema, asked, size), parameters)
            for row in rows:
                yield event_of(row)
                if left is not None:
                    left -= 1
                    if not left:
                        return
            if len(rows) < size:
                return
            parameters["after"] = rows[-1][0]
            size = _next_size(size, sum(len(row[3]) for row in rows))
            del rows  # the next page comes in its place, not beside it

    def _number(self, text: str) -> int:
        rows = self._readers.rows(query(text, self._schema), {"site": self._site_id})
        return int(rows[0][0]) if rows else 0


def _conditions(selection: Selection) -> str:
    parts = [
        ("\n    AND run_id IS NULL", selection.stream is not None),
        (_RUN, selection.run is not None),
        ("\n    AND type = ANY(%(types)s)", bool(selection.types)),
        ("\n    AND ts_ns >= %(since)s", selection.since_ns is not None),
        ("\n    AND ts_ns < %(until)s", selection.until_ns is not None),
    ]
    return "".join(text for text, is_asked in parts if is_asked)


def _next_size(size: int, page_bytes: int) -> int:
    """Return how many rows to ask for after a page of *size* rows, so that none gets too large."""
    if page_bytes * _GROWTH <= _PAGE_BYTES:
        return min(size * _GROWTH, _LAST_PAGE)
    if page_bytes > _PAGE_BYTES:
        return max(size // _GROWTH, _FIRST_PAGE)
    return size


@cache
def _page_statement(schema: str, conditions: str, size: int) -> SQL:
    # The size stands in the text: the server plans for a few rows only if it knows how few.
    return query(f"SELECT {EVENT}{_FROM}{conditions}\nORDER BY seq LIMIT {size}", schema)


@cache
def _start_statement(schema: str, conditions: str) -> SQL:
    text = f"SELECT seq{_FROM}{conditions}\nORDER BY seq DESC OFFSET %(skipped)s LIMIT 1"
    return query(text, schema)
