"""The PostgreSQL storage keeps the contract, each test with a site of its own."""

from telemetry_core.testing import StorageTests


class TestPostgresStorage(StorageTests):
    """Every promise: `open_storage` opens the same site of one database each time."""
