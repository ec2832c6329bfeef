"""What a promise of the kit is made of, and when it is not made."""

import attrs
import pytest

from telemetry_core.errors import StorageUnavailableError
from telemetry_core.memory import MemoryStorage
from telemetry_core.storage import Capabilities
from telemetry_core.testing import PROMISES, StorageTests
from telemetry_core.testing.promise import promise

NEEDY = [one for one in PROMISES.values() if one.needs is not None]


class PlainStorage(MemoryStorage):
    """A storage that can nothing that a storage need not be able to do."""

    @property
    def capabilities(self):
        """Nothing but the contract."""
        return Capabilities(durable=False)


@pytest.mark.parametrize("needy", NEEDY, ids=lambda one: one.id)
def test_a_promise_is_skipped_without_its_capability(needy):
    """Who cannot keep a promise does not make it, and the report says why."""
    with pytest.raises(pytest.skip.Exception) as skipped:
        getattr(StorageTests(), needy.test)(PlainStorage)
    assert str(skipped.value) == f"the storage lacks {needy.needs!r}, so it does not make {needy}"


@pytest.mark.parametrize("one", PROMISES.values(), ids=lambda one: one.id)
def test_a_promise_is_named_also_when_nothing_can_be_opened(one):
    """A storage that cannot be opened breaks every promise."""

    def open_storage():
        raise StorageUnavailableError("nowhere", "there is no such place")

    with pytest.raises(StorageUnavailableError) as failure:
        getattr(StorageTests(), one.test)(open_storage)
    assert str(one) in failure.value.__notes__


def test_every_test_of_the_kit_is_a_promise():
    """A test without a name in the documents would be a demand that nobody made."""
    tests = [name for name in dir(StorageTests) if name.startswith("test_")]
    assert tests == sorted(one.test for one in PROMISES.values())


def test_every_promise_is_one_sentence():
    """What a failing test says fits on one line, and is a sentence."""
    assert [str(one) for one in PROMISES.values() if "\n" in one.sentence] == []
    assert [str(one) for one in PROMISES.values() if one.sentence[-1:] not in {".", "…"}] == []


def test_what_a_promise_needs_is_a_capability():
    """A misspelt capability would raise an error in the tests of every plugin."""
    assert {one.needs for one in NEEDY} <= {one.name for one in attrs.fields(Capabilities)}


@pytest.mark.parametrize("taken", ["append.order", "order", "Append.order", "append.order "])
def test_a_promise_has_an_id_of_its_own(taken):
    """An id names one promise, and looks like the others."""
    with pytest.raises(ValueError, match=repr(taken)):
        promise(taken)
