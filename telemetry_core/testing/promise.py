"""Promise: one sentence of the storage contract, tied to the test that holds a storage to it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

import pytest
from attrs import frozen

from telemetry_core.storage import Storage

OpenStorage = Callable[[], Storage]
"""Opens the same place each time it is called."""


@frozen
class Promise:
    """
    One promise of the contract.

    `id` names it in the documents and in a failing test, `sentence` says it, `test` is the name of
    the method of `StorageTests` that checks it. `needs` is the field of `Capabilities` without
    which it is not made.
    """

    id: str
    sentence: str
    test: str
    needs: str | None = None

    def __str__(self) -> str:
        return f"promise {self.id}: {self.sentence}"


class PromiseTests:
    """
    A part of the kit.

    `patience_s` is how long a test waits for something that has to happen before it fails.
    """

    patience_s = 20.0


_ID = re.compile(r"[a-z]+\.[a-z_]+")
_Tests = TypeVar("_Tests", bound=PromiseTests)
_Test = Callable[[_Tests, OpenStorage], None]

_promises: dict[str, Promise] = {}

PROMISES: Mapping[str, Promise] = MappingProxyType(_promises)
"""Every promise of the contract, by its id."""


def promise(id: str, *, needs: str | None = None) -> Callable[[_Test[_Tests]], _Test[_Tests]]:  # noqa: A002
    """
    Make a test the one that checks the promise *id*; its docstring is the promise's sentence.

    A failure carries the promise as a note. With *needs* the test is skipped for a storage that
    does not have this capability.

    Raises:
        ValueError: The id has a wrong form or belongs to another test.
    """
    if not _ID.fullmatch(id) or id in _promises:
        raise ValueError(
            f"promise id {id!r} is taken or malformed; use a new one like 'group.fact'"
        )

    def tie(test: _Test[_Tests]) -> _Test[_Tests]:
        made = Promise(id, (test.__doc__ or "").strip(), test.__name__, needs)
        _promises[id] = made

        @functools.wraps(test)
        def checked(self: _Tests, open_storage: OpenStorage) -> None:
            try:
                if needs is not None and not _is_able(open_storage, needs):
                    pytest.skip(f"the storage lacks {needs!r}, so it does not make {made}")
                test(self, open_storage)
            except (Exception, pytest.fail.Exception) as error:
                error.add_note(str(made))
                raise

        return checked

    return tie


def _is_able(open_storage: OpenStorage, capability: str) -> bool:
    with open_storage() as storage:
        return bool(getattr(storage.capabilities, capability))
