"""A transaction that says which of the two went wrong: what is in it, or its commit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
from psycopg import errors
from psycopg.sql import SQL

from telemetry_postgres.connections import Link, Writer
from telemetry_postgres.failures import refusal, unknown_outcome

Row = tuple[Any, ...]


class Transactions:
    """Changes of the tables at *place*, by the *writer*'s connection."""

    def __init__(self, writer: Writer, place: str) -> None:
        self._writer = writer
        self._place = place

    def change(self, statement: SQL, parameters: Mapping[str, Any]) -> Row | None:
        """
        Return the first row that *statement*, a transaction of its own, answers with.

        Raises:
            UniqueViolation: A row is there already; nothing was kept.
            OutcomeUnknownError: The connection was lost after it was sent.
            StorageError: As `refusal` says; nothing was kept.
        """
        link = self._writer.link()
        try:
            return link.execute(statement, parameters).fetchone()
        except errors.UniqueViolation:
            raise
        except psycopg.Error as error:
            if link.closed:
                raise unknown_outcome(error, self._place) from error
            raise self._refused(error) from error

    @contextlib.contextmanager
    def begin(
        self, statement: SQL, parameters: Mapping[str, Any]
    ) -> Iterator[tuple[Link, list[Row]]]:
        """
        Commit what the block does with the connection it is given, or none of it.

        It begins with *statement*, sent in one go with the beginning, whose rows it is given too.

        Raises:
            UniqueViolation: A row is there already; nothing was kept.
            OutcomeUnknownError: The connection was lost during the commit.
            StorageError: As `refusal` says; nothing was kept.
        """
        link = self._writer.link()
        try:
            with link.pipeline():
                link.execute("BEGIN")
                cursor = link.execute(statement, parameters)
            yield link, cursor.fetchall()
        except BaseException as error:
            _roll_back(link)
            if isinstance(error, psycopg.Error) and not isinstance(error, errors.UniqueViolation):
                raise self._refused(error) from error
            raise
        try:
            link.execute("COMMIT")
        except psycopg.Error as error:
            if link.closed:
                raise unknown_outcome(error, self._place) from error
            raise self._refused(error) from error

    def _refused(self, error: psycopg.Error) -> Exception:
        if isinstance(error, errors.ReadOnlySqlTransaction):
            # The server became a standby: the next call looks for the one that is written now.
            self._writer.drop()
        return refusal(error, self._place)


def _roll_back(link: Link) -> None:
    if link.closed:
        return
    try:
        link.execute("ROLLBACK")
    except psycopg.Error:
        # The server undoes what has no end. The connection is of no use any more.
        link.close()
