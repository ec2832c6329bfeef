"""Where a command goes: to the service, or to a storage without one, in the same words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click

from telemetry_core.cli.exits import FAILED, NOT_FOUND, UNREACHABLE, CommandError

if TYPE_CHECKING:
    from types import TracebackType

    from telemetry_core import Draft, Plugins, Recorder, Run
    from telemetry_http.client import TelemetryClient

Record = dict[str, Any]
"""An event as its five-key envelope, or a run as the service shows it."""

Command = TypeVar("Command", bound=Callable[..., Any])


class RefusedError(CommandError):
    """What was given cannot be recorded; nothing was written, and the next one may be tried."""


class Target(ABC):
    """What the commands need, from whoever has it. Used by one thread."""

    @abstractmethod
    def current(self) -> dict[str, Record]:
        """Return the latest event of each type, by type."""

    @abstractmethod
    def record(self, draft: Draft) -> Record:
        """
        Record one event and return it.

        Raises:
            RefusedError: It cannot be recorded.
        """

    @abstractmethod
    def runs(self) -> list[Record]:
        """Return all runs in the order they were first started."""

    @abstractmethod
    def find_run(self, run_id: str) -> Record:
        """Return the run of that id; an error with the code for "not found" if there is none."""

    @abstractmethod
    def start_run(self, run_id: str | None, meta: Mapping[str, Any]) -> Record:
        """Start a run and return it."""

    @abstractmethod
    def stop_run(self, status: str | None, reason: str | None) -> Record:
        """Stop the active run and return it."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
