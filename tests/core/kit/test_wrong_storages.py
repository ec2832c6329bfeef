"""Every promise of the kit is broken by a storage that is wrong in one way, and the kit says so."""

import importlib
import pkgutil

import pytest

from telemetry_core.errors import TelemetryError
from telemetry_core.testing import PROMISES, StorageTests
from tests.core.kit import wrong
from tests.core.kit.fault import FAULTS

for _module in pkgutil.iter_modules(wrong.__path__, f"{wrong.__name__}."):
    importlib.import_module(_module.name)


class ImpatientTests(StorageTests):
    """The kit, with little patience for what will never happen."""

    patience_s = 0.3


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_storage_that(fault, tmp_path):
    """The test of the promise fails, and its message names the promise."""
    promise = PROMISES[fault.promise]
    test = getattr(ImpatientTests(), promise.test)
    with pytest.raises((AssertionError, pytest.fail.Exception, TelemetryError)) as failure:
        test(lambda: fault.storage(tmp_path / "journal"))
    assert str(promise) in failure.value.__notes__
    assert "from pytest-timeout" not in str(failure.value), "the kit would have waited for ever"


def test_every_promise_is_broken_by_a_storage():
    """A promise that no wrong storage breaks may have a test that cannot fail."""
    assert set(PROMISES) - {fault.promise for fault in FAULTS} == set()
