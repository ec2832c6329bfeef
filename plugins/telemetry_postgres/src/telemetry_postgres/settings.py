"""What can be chosen when a site in a database is opened."""

from __future__ import annotations

import re
from typing import Any, Final

from attrs import field, frozen, validators

_LIBPQ: Final = (
    "host",
    "port",
    "user",
    "passfile",
    "service",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "connect_timeout",
    "application_name",
    "target_session_attrs",
)
_ALIVE: Final = {
    # A machine that vanished is noticed within half a minute, also while nothing is sent.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,39}")


@frozen(kw_only=True)
class PostgresSettings:
    """
    Which site in which database, and how it is reached.

    `url` is what libpq takes, with several hosts where there are standbys:
    `postgresql://ada@db1,db2/lab`. `site` names one of the sites that share the tables in `schema`.
    `connections` is how many readers are served at the same time. `keep_days` removes whole days
    that ended longer ago, of every site in the schema. `prepare=False` is for a pooler that gives
    each transaction another session. The other fields are libpq's own, of the same names;
    a writer looks for a server that can be written unless `target_session_attrs` says otherwise.

    Raises:
        ValueError: An option is wrong; no message shows a password.
    """

    url: str = field(repr=False)
    site: str = field(default="default", validator=validators.matches_re(r"[^\x00-\x1f]{1,128}"))
    schema: str = field(default="telemetry", validator=validators.matches_re(_SCHEMA))
    read_only: bool = False
    connections: int = field(default=4, validator=validators.ge(1))
    max_event_bytes: int = field(default=256 * 1024, validator=validators.ge(64))
    keep_days: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    prepare: bool = True
    host: str | None = None
    port: int | None = None
    user: str | None = None
    passfile: str | None = None
    service: str | None = None
    sslmode: str | None = None
    sslrootcert: str | None = None
    sslcert: str | None = None
    sslkey: str | None = None
    connect_timeout: int = 5
    application_name: str = "telemetry"
    target_session_attrs: str | None = None

    def __attrs_post_init__(self) -> None:
        from psycopg import ProgrammingError

        try:
            self.conninfo  # noqa: B018  # made once here, so that a wrong URL is told at once
        except ProgrammingError:
            # libpq's own message shows the URL, with the password that may stand in it.
            raise ValueError("no URL as libpq takes it: postgresql://user@host:port/db") from None

    @property
    def conninfo(self) -> str:
        """What libpq is given to connect."""
        from psycopg.conninfo import make_conninfo

        given: dict[str, Any] = {name: getattr(self, name) for name in _LIBPQ}
        given["target_session_attrs"] = self.target_session_attrs or (
            "any" if self.read_only else "read-write"
        )
        chosen = {name: value for name, value in given.items() if value is not None}
        return make_conninfo(self.url, **{**_ALIVE, **chosen})

    @property
    def place(self) -> str:
        """The database and the site, as they may be shown: without a password."""
        from psycopg.conninfo import conninfo_to_dict

        facts = conninfo_to_dict(self.conninfo)
        hosts = facts.get("host") or "localhost"
        return f"postgresql://{hosts}/{facts.get('dbname') or ''}?site={self.site}"
