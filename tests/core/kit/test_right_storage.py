"""The storage from which the wrong ones are made keeps every promise, whatever it needs."""

import pytest

from telemetry_core.testing import StorageTests
from tests.core.kit.journal import JournalStorage


class TestJournalStorage(StorageTests):
    """Every promise there is, none skipped."""

    @pytest.fixture
    def open_storage(self, tmp_path):
        """Open the same journal each time."""
        return lambda: JournalStorage(tmp_path / "journal")
