"""The tables: numbered files of SQL, each applied once, whoever comes first."""

from __future__ import annotations

import re
from importlib import resources
from typing import Final

from attrs import frozen

from telemetry_core import StorageReadOnlyError, StorageUnavailableError
from telemetry_postgres.connections import Link, query
from telemetry_postgres.failures import told_as_ours
from telemetry_postgres.settings import PostgresSettings

_NAME: Final = re.compile(r"(\d{4})_\w+\.sql")
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('telemetry:{schema}'))"
_ENCODING: Final = "SELECT current_setting('server_encoding')"
# Not by to_regclass, which may answer from what it knew before it waited for the lock.
_HAS_VERSIONS: Final = """
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_tables WHERE schemaname = '{schema}' AND tablename = 'schema_version'
)"""
_VERSION: Final = "SELECT coalesce(max(version), 0) FROM {schema}.schema_version"
_BEGIN: Final = """\
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.schema_version (
    version integer PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);
"""


@frozen
class Migration:
    """One step from a version of the tables to the next."""

    version: int
    text: str

    @property
    def script(self) -> str:
        """The SQL of the step, with the line that notes it."""
        noted = f"INSERT INTO {{schema}}.schema_version (version) VALUES ({self.version});"
        return f"{self.text}\n{noted}\n"


def migrations() -> list[Migration]:
    """Return every step there is, in order."""
    folder = resources.files("telemetry_postgres") / "migrations"
    found = {match[1]: one for one in folder.iterdir() if (match := _NAME.fullmatch(one.name))}
    return [Migration(int(number), found[number].read_text("utf-8")) for number in sorted(found)]


def script(schema: str, *, version: int = 0) -> str:
    """Return the SQL that brings the tables from *version* to the newest; 0: there are none."""
    steps = [one.script for one in migrations() if one.version > version]
    return "\n".join([_BEGIN, *steps]).replace("{schema}", schema)


def upgrade(link: Link, settings: PostgresSettings) -> None:
    """
    Bring the tables to the newest version; several processes may call this at once.

    Raises:
        StorageUnavailableError: The tables are older and this role may not change them, or they
            are newer than this program, or the database is not in UTF-8.
        StorageError: The server does not answer.
    """
    newest = migrations()[-1].version
    with told_as_ours(settings.place):
        _check_encoding(link, settings)
        version = _version(link, settings)
    if version > newest:
        reason = f"its tables have version {version} and this program knows {newest}"
        raise StorageUnavailableError(settings.place, f"{reason}; upgrade telemetry_postgres")
    if version == newest:
        return
    if settings.read_only:
        reason = f"its tables have version {version}, not yet {newest}; open it for writing once"
        raise StorageUnavailableError(settings.place, reason)
    try:
        with told_as_ours(settings.place), link.transaction():
            link.execute(query(_LOCK, settings.schema))
            # Asked again behind the lock: another process may have been quicker.
            version = _version(link, settings)
            if version < newest:
                link.execute(query(script(settings.schema, version=version), settings.schema))
    except StorageReadOnlyError as error:
        command = f"telemetry postgresql schema --schema {settings.schema} --from {version}"
        reason = (
            f"role {link.info.user!r} may not make its tables; their owner runs what `{command}`"
        )
        raise StorageUnavailableError(settings.place, f"{reason} prints") from error


def _check_encoding(link: Link, settings: PostgresSettings) -> None:
    row = link.execute(_ENCODING).fetchone()
    if row != ("UTF8",):
        reason = f"the database has the encoding {row[0] if row else None}; make one in UTF8"
        raise StorageUnavailableError(settings.place, reason)


def _version(link: Link, settings: PostgresSettings) -> int:
    """Return the version of the tables, 0 if there are none."""
    if link.execute(query(_HAS_VERSIONS, settings.schema)).fetchone() != (True,):
        return 0
    row = link.execute(query(_VERSION, settings.schema)).fetchone()
    return int(row[0]) if row else 0
