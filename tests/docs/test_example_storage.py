"""The storage that docs/plugins.md shows keeps the contract: whoever copies it begins right."""

import re
from pathlib import Path

import pytest

from telemetry_core.testing import StorageTests

PLUGINS = Path(__file__).parents[2] / "docs" / "plugins.md"


@pytest.fixture(scope="module")
def example():
    """The names that the block with the storage defines."""
    blocks = re.findall(r"```python\n(.*?)```", PLUGINS.read_text(), re.DOTALL)
    (block,) = (block for block in blocks if "(Storage):" in block)
    names = {}
    exec("import telemetry_core\n" + block, names)
    return names


class TestListStorage(StorageTests):
    """Every promise that holds for a storage without a disk."""

    @pytest.fixture
    def open_storage(self, example):
        """Open a new list each time: it is not durable."""
        return lambda: example["ListStorage"](example["ListSettings"](url="list:"))
