"""The SQL that changes the tables, put together from the parts that a batch needs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final

from attrs import frozen
from psycopg.sql import SQL

from telemetry_postgres.batch import COPIED, FIELDS
from telemetry_postgres.connections import Link, query

_PIECE_BYTES: Final = 16 * 1024
"""So small that the server works on one piece of a COPY while the next is made."""

_VALUES: Final = (f"%({name})s::{kind} AS {name}" for name, kind in FIELDS.items())
_ONE: Final = f"SELECT {', '.join(_VALUES)}"
_ARRAYS: Final = (f"%({name})s::{kind}[]" for name, kind in FIELDS.items())
_MANY: Final = f"SELECT * FROM unnest({', '.join(_ARRAYS)}) AS d({', '.join(FIELDS)})"

# The run before the site, always: two that wait for each other would wait for ever.
LOCK: Final = """
WITH run AS (
    SELECT run_id FROM {schema}.run
    WHERE site_id = %(site)s AND run_id = ANY(%(runs)s) AND stopped_at IS NULL
    FOR NO KEY UPDATE
)
SELECT last_seq, (SELECT run_id FROM run) FROM {schema}.site
WHERE site_id = %(site)s FOR NO KEY UPDATE"""
"""Locks a site, and the one of some runs that is active; answers with its last seq and that run."""

_RUN: Final = """
run AS (
    SELECT FROM {schema}.run
    WHERE site_id = %(site)s AND run_id = %(run)s AND stopped_at IS NULL
    FOR NO KEY UPDATE
)"""
_GIVEN: Final = """
given AS (
    UPDATE {schema}.site
    SET last_seq = last_seq + %(n)s,
        last_stored = CASE WHEN %(last)s > 0 THEN last_seq + %(last)s ELSE last_stored END
    WHERE site_id = %(site)s{conditions}
    RETURNING last_seq - %(n)s AS base, day
)"""
_RAISED: Final = """
given AS (
    UPDATE {schema}.site
    SET last_seq = greatest(last_seq, %(n)s::bigint),
        last_stored = greatest(last_stored, %(last)s::bigint)
    WHERE site_id = %(site)s
    RETURNING 0::bigint AS base, day
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
    SELECT %(site)s, id, base + place, day
    FROM given, unnest(%(ids)s::text[], %(places)s::bigint[]) AS d(id, place){known}
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
    SET events = r.events + %(events)s,
        first_seq = least(r.first_seq, given.base + %(first)s::bigint),
        last_seq = greatest(r.last_seq, given.base + %(last_of_run)s::bigint)
    FROM given WHERE r.site_id = %(site)s AND r.run_id = %(run)s
)"""


@frozen
class Shape:
    """
    What is in a batch, so that its statement does no more than that.

    `many`: more than one event. `run`: events of a run. `no_run`: events for the site only if no
    run is active. `ids`, `latest`: events with ids, or to be current.
    """

    many: bool
    run: bool = False
    no_run: bool = False
    ids: bool = False
    latest: bool = False


@cache
def append_statement(schema: str, shape: Shape) -> SQL:
    """Return the statement that appends a batch at once and answers with the seq before it."""
    return _statement(schema, shape, _given(shape), _STORED)


@cache
def number_statement(schema: str, shape: Shape) -> SQL:
    """
    Return the statement that does all but write the history: a COPY of the lines follows it.

    Its fields are those of the events that become current. `shape.many` says whether of several.
    """
    return _statement(schema, shape, _given(shape))


@cache
def replicate_statement(schema: str, shape: Shape) -> SQL:
    """Return the statement that does so for events that have their seqs."""
    return _statement(schema, shape, _RAISED, known=" ON CONFLICT DO NOTHING")


def _given(shape: Shape) -> str:
    conditions = (_IF_RUN if shape.run else "") + (_IF_NO_RUN if shape.no_run else "")
    return (_RUN + "," if shape.run else "") + _GIVEN.replace("{conditions}", conditions)


def _statement(schema: str, shape: Shape, *parts: str, known: str = "") -> SQL:
    has_fields = shape.latest or _STORED in parts
    every = [
        *([f"\ndraft AS ({_MANY if shape.many else _ONE})"] if has_fields else []),
        *parts,
        *([_IDS.replace("{known}", known)] if shape.ids else []),
        *([_LATEST] if shape.latest else []),
        *([_COUNTED] if shape.run else []),
    ]
    return query("WITH" + ",".join(every) + "\nSELECT base, day FROM given", schema)


def write_copy(link: Link, schema: str, lines: Iterable[bytes]) -> None:
    """Add *lines* to the history by COPY, in pieces."""
    with link.cursor().copy(_copy_statement(schema)) as copy:
        piece: list[bytes] = []
        size = 0
        for line in lines:
            piece.append(line)
            size += len(line)
            if size >= _PIECE_BYTES:
                copy.write(b"".join(piece))
                piece, size = [], 0
        copy.write(b"".join(piece))


@cache
def _copy_statement(schema: str) -> SQL:
    return query(f"COPY {{schema}}.event ({COPIED}) FROM STDIN", schema)
