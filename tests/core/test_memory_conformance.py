"""The memory storage keeps the contract."""

import pytest

from telemetry_core.memory import MemoryStorage
from telemetry_core.testing import StorageTests


class TestMemoryStorage(StorageTests):
    """Every promise that holds for a storage without a disk."""

    @pytest.fixture
    def open_storage(self):
        """Open a new memory storage each time: it is not durable."""
        return MemoryStorage
