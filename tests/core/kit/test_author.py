"""What an author of a storage sees, who has the package, pytest, and ten lines of tests."""

import subprocess
import sys

import pytest

from telemetry_core.testing import PROMISES

TESTS = """
import pytest
from telemetry_core.memory import MemoryStorage
from telemetry_core.testing import StorageTests

class MineStorage(MemoryStorage):
    def append(self, drafts, recorded_ns):
        return super().append(drafts[::-1], recorded_ns)

class TestMine(StorageTests):
    @pytest.fixture
    def open_storage(self, tmp_path):
        return MineStorage
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What pytest says of a storage that turns every batch around."""
    folder = tmp_path_factory.mktemp("author")
    (folder / "test_mine.py").write_text(TESTS)
    some = "append_keeps_order or append_is_visible or append_takes or events_survive_a_reopen"
    command = [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "-k", some]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout


def test_an_author_is_told_which_promise_is_broken(report):
    """The failure of an inherited test names the promise and says its sentence."""
    assert str(PROMISES["append.order"]) in report


def test_an_author_sees_what_was_expected_and_what_came(report):
    """Both sides of the comparison are shown, though the test is not the author's own."""
    assert "assert [2, 1, 3] == [3, 1, 2]" in report


def test_an_author_sees_why_a_promise_was_not_looked_at(report):
    """The summary says which capability is lacking."""
    assert "the storage lacks 'durable', so it does not make promise reopen.events" in report


def test_an_author_inherits_tests_that_pass(report):
    """One wrong thing is one failure."""
    assert "1 failed, 2 passed, 1 skipped" in report
