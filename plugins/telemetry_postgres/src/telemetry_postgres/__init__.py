"""A storage on PostgreSQL: several writers, several sites, replication, SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_postgres.settings import PostgresSettings
from telemetry_postgres.signup import telemetry_register_commands, telemetry_register_storage

if TYPE_CHECKING:
    from typing import Any

    from telemetry_postgres.storage import PostgresStorage

__version__ = "0.1.0"

__all__ = [
    "PostgresSettings",
    "PostgresStorage",
    "telemetry_register_commands",
    "telemetry_register_storage",
]


def __getattr__(name: str) -> Any:
    if name == "PostgresStorage":
        from telemetry_postgres.storage import PostgresStorage

        globals()[name] = PostgresStorage
        return PostgresStorage
    raise AttributeError(f"module 'telemetry_postgres' has no attribute {name!r}")
