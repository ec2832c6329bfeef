"""StorageTests: the whole contract as one class of tests, to be inherited."""

from __future__ import annotations

from telemetry_core.testing.promise import OpenStorage, promise
from telemetry_core.testing.promises.appending import AppendTests
from telemetry_core.testing.promises.blocks import BlockTests
from telemetry_core.testing.promises.closing import ClosingTests
from telemetry_core.testing.promises.crash import CrashTests
from telemetry_core.testing.promises.current import CurrentTests
from telemetry_core.testing.promises.identity import IdTests
from telemetry_core.testing.promises.readers import ReaderTests
from telemetry_core.testing.promises.reading import SelectionTests
from telemetry_core.testing.promises.recording import RecorderTests
from telemetry_core.testing.promises.replicating import ReplicatingTests
from telemetry_core.testing.promises.runs import RunTests
from telemetry_core.testing.promises.shared import SharedTests
from telemetry_core.testing.promises.values import ValueTests
from telemetry_core.testing.promises.waiting import WaitTests
from telemetry_core.testing.state_machine import make_storage_machine


class StorageTests(
    AppendTests,
    IdTests,
    ValueTests,
    SelectionTests,
    ReaderTests,
    BlockTests,
    CurrentTests,
    RunTests,
    WaitTests,
    ClosingTests,
    CrashTests,
    SharedTests,
    ReplicatingTests,
    RecorderTests,
):
    """
    Every promise of the storage contract as a test, for a plugin author to inherit.

        class TestLiteStorage(StorageTests):
            @pytest.fixture
            def open_storage(self, tmp_path):
                return lambda: LiteStorage(LiteSettings(url=str(tmp_path / "site.db")))

    `open_storage` is a callable that opens the same place each time it is called; for each test
    that place is new. What a storage cannot do it says by its `Capabilities`, and the tests of
    that are skipped: one that is not `durable` need not remember anything.

    A test opens a storage, closes it and opens it again, but never opens it twice at once unless
    it has `shared_writers`. `patience_s` is how long a test waits for what has to happen.
    """

    @promise("model.same")
    def test_any_calls_behave_as_the_model_does(self, open_storage: OpenStorage) -> None:
        """Whatever is called in whatever order, the answers are those of the memory storage."""
        from hypothesis.stateful import run_state_machine_as_test

        run_state_machine_as_test(make_storage_machine(open_storage))
