"""Call: something done in another thread, whose end is waited for, but not for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import pytest

T = TypeVar("T")


class Call(Generic[T]):
    """Calls *function* in a daemon thread, so that one that never returns keeps nothing alive."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="telemetry-test-call", daemon=True)
        self._thread.start()

    def result(self, patience_s: float) -> T:
        """Return what the function returned, or raise what it raised; fail if it goes on."""
        self._thread.join(patience_s)
        if self._thread.is_alive():
            pytest.fail(f"the call did not return within {patience_s} s")
        if self._error is not None:
            raise self._error
        return self._results[0]

    def _run(self) -> None:
        try:
            self._results.append(self._function())
        except BaseException as error:  # noqa: BLE001  # it is raised again by `result`
            self._error = error
