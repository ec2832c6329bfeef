"""The SQL that changes the tables, put together from the parts that a batch needs."""

from __future__ import annotations

from functools import cache
from typing import Final

from attrs import frozen
from psycopg.sql import SQL

from telemetry_postgres.connections import query
from telemetry_postgres.rows import COPIED, FIELDS

_VALUES: Final = (f"%({name})s::{kind} AS {name}" for name, kind in FIELDS.items())
_ONE: Final = f"SELECT {', '.join(_VALUES)}"
_ARRAYS: Final = (f"%({name})s::{kind}[]" for name, kind in FIELDS.items())
_MANY: Final = f"SELECT * FROM unnest({', '.join(_ARRAYS)}) AS d({', '.join(FIELDS)})"

# The run before the site, always: two that wait for each other would wait for ever.
LOCK_RUN: Final = """
    SELECT FROM {schema}.run
    WHERE site_id = %(site)s AND run_id = %(run)s AND stopped_at IS NULL
    FOR NO KEY UPDATE"""
LOCK_SITE: Final = """
    SELECT last_seq FROM {schema}.site WHERE site_id = %(site)s FOR NO KEY UPDATE"""

_RUN: Final = f"\nrun AS ({LOCK_RUN}\n)"
_GIVEN: Final = """
given AS (
    UPDATE {schema}.site
    SET last_seq = last_seq + %(n)s,
        last_stored = CASE WHEN %(last)s > 0 THEN last_seq + %(last)s ELSE last_stored END
    WHERE site_id = %(site)s{conditions}
    RETURNING last_seq - %(n)s AS base, day
)"""
_IF_RUN: Final = " AND EXISTS (SELECT FROM run)"
_IF_NO_RUN: Final = """
        AND NOT EXISTS (SELECT FROM {schema}.run WHERE site_id = %(site)s AND stopped_at IS NULL)"""
_STORED: Final = f"""
stored AS (
    INSERT INTO {{schema}}.event ({COPIED})
    SELECT %(site)s, base + place, ts_ns, day, make_current, type, ts, run_id, id,
        data::json, meta::json
    FROM given, draft WHERE store
)"""
_IDS: Final = """
ids AS (
    INSERT INTO {schema}.event_id (site_id, id, seq, day)
    SELECT %(site)s, id, base + place, day FROM given, draft WHERE store AND id IS NOT NULL{known}
)"""
_LATEST: Final = """
latest AS (
    INSERT INTO {schema}.current_value AS c
        (site_id, type, seq, ts, ts_ns, store_permanently, id, data, meta)
    SELECT %(site)s, type, base + place, ts, ts_ns, store, id, data::json, meta::json
    FROM given, draft WHERE is_latest
    ON CONFLICT (site_id, type) DO UPDATE SET
        seq = excluded.seq, ts = excluded.ts, ts_ns = excluded.ts_ns, id = excluded.id,
        store_permanently = excluded.store_permanently, data = excluded.data, meta = excluded.meta
    WHERE c.seq < excluded.seq
)"""
_COUNTED: Final = """
counted AS (
    UPDATE {schema}.run r
    SET events = r.events + new.events,
        first_seq = least(r.first_seq, new.first_seq),
        last_seq = greatest(r.last_seq, new.last_seq)
    FROM (
        SELECT count(*) AS events, min(base + place) AS first_seq, max(base + place) AS last_seq
        FROM given, draft WHERE store AND run_id IS NOT NULL
    ) new
    WHERE r.site_id = %(site)s AND r.run_id = %(run)s AND new.events > 0
)"""


@frozen
class Shape:
    """
    What is in a batch, so that its statement does no more than that.

    `run`: events of a run. `no_run`: events for the site only if no run is active. `ids`, `latest`:
    events with ids, or to be current. `many`: more than one event.
    """

    many: bool
    run: bool
    no_run: bool
    ids: bool
    latest: bool

    @property
    def conditions(self) -> str:
        """What must hold for the batch to be taken."""
        return (_IF_RUN if self.run else "") + (_IF_NO_RUN if self.no_run else "")


@cache
def append_statement(schema: str, shape: Shape) -> SQL:
    """Return the statement that appends a batch at once and answers with the seq before it."""
    parts = [
        f"WITH draft AS ({_MANY if shape.many else _ONE})",
        _RUN if shape.run else "",
        _GIVEN.replace("{conditions}", shape.conditions),
        _STORED,
        _IDS.replace("{known}", "") if shape.ids else "",
        _LATEST if shape.latest else "",
        _COUNTED if shape.run else "",
    ]
    return query(",".join(filter(None, parts)) + "\nSELECT base FROM given", schema)


@cache
def give_statement(schema: str, shape: Shape) -> SQL:
    """Return the statement that gives a batch its numbers and answers with the seq before it."""
    parts = [
        _RUN if shape.run else "",
        _GIVEN.replace("{conditions}", shape.conditions),
    ]
    return query("WITH" + ",".join(filter(None, parts)) + "\nSELECT base, day FROM given", schema)


@cache
def beside_statement(schema: str, shape: Shape, *, replicated: bool = False) -> SQL:
    """Return the statement for what stands beside the history, once the numbers are given."""
    known = " ON CONFLICT DO NOTHING" if replicated else ""
    parts = [
        f"WITH draft AS ({_MANY if shape.many else _ONE})",
        "\ngiven AS (SELECT %(base)s::bigint AS base, %(day)s::date AS day)",
        _IDS.replace("{known}", known) if shape.ids else "",
        _LATEST if shape.latest else "",
        _COUNTED if shape.run else "",
    ]
    return query(",".join(filter(None, parts)) + "\nSELECT", schema)


@cache
def copy_statement(schema: str) -> SQL:
    """Return the statement that takes the rows of a large batch."""
    return query(f"COPY {{schema}}.event ({COPIED}) FROM STDIN", schema)
