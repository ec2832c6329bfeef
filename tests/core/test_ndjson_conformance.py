"""The NDJSON storage keeps the contract, whichever durability it is opened with."""

import pytest

from telemetry_core.ndjson import NdjsonSettings, NdjsonStorage
from telemetry_core.testing import StorageTests


class TestNdjsonStorage(StorageTests):
    """Every promise, as it is opened by default."""

    @pytest.fixture
    def open_storage(self, tmp_path):
        """Open the same site directory each time."""
        return lambda: NdjsonStorage(NdjsonSettings(url=str(tmp_path / "site")))


class TestSyncedNdjsonStorage(StorageTests):
    """Every promise when each append is synced, behind a writer thread of the recorder."""

    @pytest.fixture
    def open_storage(self, tmp_path):
        """Open the same site directory each time."""
        settings = NdjsonSettings(url=str(tmp_path / "site"), durability="always")
        return lambda: NdjsonStorage(settings)
