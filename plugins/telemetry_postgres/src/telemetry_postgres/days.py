"""The days of the history: a partition for each, made ahead, and removed when it is too old."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

from psycopg import errors

from telemetry_postgres.connections import Link, query

DAYS_AHEAD: Final = 7

_PARTITION: Final = re.compile(r"event_(\d{8})")
_LOCK: Final = """
SELECT set_config('lock_timeout', '3s', true),
    pg_advisory_xact_lock(hashtext('telemetry:{schema}'))"""
_TODAY: Final = "SELECT (now() AT TIME ZONE 'UTC')::date"
_PARTITIONS: Final = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = '{schema}.event'::regclass"""
# Attached rather than made in place: that would lock out everybody who reads or appends.
_MAKE: Final = """
CREATE TABLE {schema}.{name} (LIKE {schema}.event INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE {schema}.event ATTACH PARTITION {schema}.{name}
    FOR VALUES FROM ('{day}') TO ('{next}');"""
_TURN: Final = """
WITH old AS (
    SELECT site_id, day, last_seq FROM {schema}.site
    WHERE day < (now() AT TIME ZONE 'UTC')::date AND (site_id = %(site)s OR %(site)s IS NULL)
    ORDER BY site_id FOR NO KEY UPDATE
), closed AS (
    INSERT INTO {schema}.closed_day (site_id, last_seq, day)
    SELECT site_id, last_seq, day FROM old ON CONFLICT DO NOTHING
)
UPDATE {schema}.site s SET day = (now() AT TIME ZONE 'UTC')::date
FROM old WHERE s.site_id = old.site_id"""
_REMOVE: Final = """
UPDATE {schema}.site s SET removed_through = greatest(s.removed_through, gone.last_seq)
FROM (
    SELECT site_id, max(last_seq) AS last_seq FROM {schema}.closed_day
    WHERE day <= '{day}' GROUP BY site_id
) gone
WHERE s.site_id = gone.site_id AND gone.last_seq > s.removed_through;
DELETE FROM {schema}.event_id WHERE day <= '{day}';
DELETE FROM {schema}.closed_day WHERE day <= '{day}';
DROP TABLE {schema}.{name};"""


def turn_day(link: Link, schema: str, site_id: int | None) -> None:
    """Let the site, or all of them, go on in the partition of today, if there is a new day."""
    # ::integer, so that the server knows what kind of thing a missing site is.
    text = _TURN.replace("%(site)s", "%(site)s::integer")
    link.execute(query(text, schema), {"site": site_id})


def make_partitions(link: Link, schema: str) -> list[dt.date]:
    """
    Make the partitions of today and the next days that are missing, and return their days.

    A day that was recorded before its partition was there stays in the default one.
    """
    today = _today(link, schema)
    wanted = {_name(day): day for day in _next_days(today)}
    made = []
    for name in sorted(wanted.keys() - _partitions(link, schema)):
        with link.transaction():
            link.execute(query(_LOCK, schema))
            if name in _partitions(link, schema):
                continue  # another process was quicker
            try:
                with link.transaction():
                    link.execute(query(_filled(_MAKE, wanted[name]), schema))
                made.append(wanted[name])
            except errors.CheckViolation:
                continue
    return made


def remove_days(link: Link, schema: str, keep_days: int) -> list[dt.date]:
    """
    Remove the days that ended more than *keep_days* days ago, of every site, and return them.

    What is current stays, and so does what is known of runs.
    """
    oldest = _today(link, schema) - dt.timedelta(days=keep_days)
    days = {name: _day(name) for name in _partitions(link, schema) if _PARTITION.fullmatch(name)}
    old = sorted(day for day in days.values() if day < oldest)
    for day in old:
        turn_day(link, schema, None)
        with link.transaction():
            link.execute(query(_LOCK, schema))
            if _name(day) in _partitions(link, schema):
                link.execute(query(_filled(_REMOVE, day), schema))
    return old


def _next_days(today: dt.date) -> list[dt.date]:
    return [today + dt.timedelta(days=n) for n in range(DAYS_AHEAD + 1)]


def _filled(text: str, day: dt.date) -> str:
    following = day + dt.timedelta(days=1)
    return (
        text.replace("{name}", _name(day))
        .replace("{day}", day.isoformat())
        .replace("{next}", following.isoformat())
    )


def _name(day: dt.date) -> str:
    return f"event_{day:%Y%m%d}"


def _day(name: str) -> dt.date:
    return dt.date.fromisoformat(name.removeprefix("event_"))


def _partitions(link: Link, schema: str) -> set[str]:
    return {row[0] for row in link.execute(query(_PARTITIONS, schema)).fetchall()}


def _today(link: Link, schema: str) -> dt.date:
    row = link.execute(query(_TODAY, schema)).fetchone()
    return row[0] if row else dt.datetime.now(dt.UTC).date()
