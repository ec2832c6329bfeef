"""
Every error the core raises, so that a caller can catch as wide or as narrow as it needs.

    TelemetryError
        MalformedJSONError      ValueError        text that is not JSON
        InvalidEventError       ValueError        an event that cannot be recorded
        InvalidSelectionError   ValueError        a question that cannot be asked
        LaggedError             RuntimeError      a follower that fell too far behind
        RunError
            InvalidRunError     ValueError        a run that cannot be started
            RunActiveError      RuntimeError      another run is active
            NoActiveRunError    LookupError       no run, or another one, is active
            UnknownRunError     LookupError       no run of that id
        StorageError
            StorageClosedError      ValueError
            StorageInUseError       BlockingIOError   another process writes there
            StorageReadOnlyError    PermissionError
            StorageFullError        OSError           no room; nothing was kept
            StorageUnavailableError ConnectionError   cannot write now; nothing was kept
            OutcomeUnknownError     TimeoutError      kept or not: retry with the same ids
            IdConflictError         ValueError        the id belongs to another event
            UnsupportedError        NotImplementedError
        PluginError
            UnknownStorageError     LookupError
            PluginLoadError         ImportError
            SettingsError           ValueError

Each keeps its facts as attributes, is made from them alone, and so survives pickling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from telemetry_core.runs import Run


@frozen
class Problem:
    """One thing wrong with what was given, and where: `path` is like `$.meta.run_id`."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class TelemetryError(Exception):
    """Whatever goes wrong in the recorder or a storage."""

    def __init__(self, *facts: Any) -> None:
        # Exception keeps the facts in `args`, from which pickle makes the error again.
        self.args = facts

    def __str__(self) -> str:
        return " ".join(map(str, self.args))


class MalformedJSONError(TelemetryError, ValueError):
    """The text is not JSON as RFC 8259 has it; NaN and Infinity are not."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return f"malformed JSON: {self.reason}"


class _ProblemsError(TelemetryError, ValueError):
    """What was given is wrong in one or several places."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "; ".join(map(str, self.problems))


class InvalidEventError(_ProblemsError):
    """The event cannot be recorded; nothing was written. `problems` says why and where."""


class InvalidSelectionError(_ProblemsError):
    """The selection cannot be read. `problems` says why and where."""


class LaggedError(TelemetryError, RuntimeError):
    """A follower was too slow; resume with `after=error.after` to read on without a hole."""

    def __init__(self, after: int) -> None:
        self.after = after
        super().__init__(after)

    def __str__(self) -> str:
        return f"the follower fell too far behind; resume with after={self.after}"


class RunError(TelemetryError):
    """A run cannot be started, stopped or found."""


class InvalidRunError(RunError, _ProblemsError):
    """The run's id, directory or meta cannot be used; nothing was created."""


class RunActiveError(RunError, RuntimeError):
    """A run is active, so another one cannot start."""

    def __init__(self, run: Run) -> None:
        self.run = run
        super().__init__(run)

    def __str__(self) -> str:
        return f"run {self.run.run_id!r} is active since {self.run.started_at}; stop it first"


class NoActiveRunError(RunError, LookupError):
    """No run is active, or not the one that was meant."""

    def __init__(self, run_id: str | None = None) -> None:
        self.run_id = run_id
        super().__init__(run_id)

    def __str__(self) -> str:
        return "no run is active" if self.run_id is None else f"run {self.run_id!r} is not active"


class UnknownRunError(RunError, LookupError):
    """No run of that id was ever started here."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(run_id)

    def __str__(self) -> str:
        return f"no run {self.run_id!r}"


class StorageError(TelemetryError):
    """The storage cannot do what it was asked."""


class StorageClosedError(StorageError, ValueError):
    """The storage was closed before, or belongs to the process this one was forked from."""

    def __init__(self, place: str) -> None:
        self.place = place
        super().__init__(place)

    def __str__(self) -> str:
        return f"the storage {self.place!r} is closed"


class StorageInUseError(StorageError, BlockingIOError):
    """Another process, or another recorder of this one, writes there."""

    def __init__(self, place: str, pid: int | None = None) -> None:
        self.place = place
        self.pid = pid
        super().__init__(place, pid)

    def __str__(self) -> str:
        who = "another process" if self.pid is None else f"process {self.pid}"
        return f"{self.place!r} is being written by {who}; stop it first or open read-only"


class StorageReadOnlyError(StorageError, PermissionError):
    """The storage was opened with `read_only=True`."""

    def __init__(self, place: str) -> None:
        self.place = place
        super().__init__(place)

    def __str__(self) -> str:
        return f"the storage {self.place!r} was opened read-only"


class StorageFullError(StorageError, OSError):
    """There is no room; nothing was kept. Free some and go on: no restart is needed."""

    def __init__(self, place: str, reason: str) -> None:
        self.place = place
        self.reason = reason
        super().__init__(place, reason)

    def __str__(self) -> str:
        return f"no room to write {self.place!r}: {self.reason}"


class StorageUnavailableError(StorageError, ConnectionError):
    """The storage cannot be used now; nothing was kept. `retry_after_s` is a hint or `None`."""

    def __init__(self, place: str, reason: str, retry_after_s: float | None = None) -> None:
        self.place = place
        self.reason = reason
        self.retry_after_s = retry_after_s
        super().__init__(place, reason, retry_after_s)

    def __str__(self) -> str:
        return f"the storage {self.place!r} cannot be used: {self.reason}"


class OutcomeUnknownError(StorageError, TimeoutError):
    """Kept or not, nobody can say; a retry with the same ids stores each event once."""

    def __init__(self, place: str, reason: str) -> None:
        self.place = place
        self.reason = reason
        super().__init__(place, reason)

    def __str__(self) -> str:
        return f"the outcome at {self.place!r} is unknown: {self.reason}; retry with the same ids"


class IdConflictError(StorageError, ValueError):
    """The id was given to another event before; nothing of the batch was kept."""

    def __init__(self, event_id: str, seq: int) -> None:
        self.event_id = event_id
        self.seq = seq
        super().__init__(event_id, seq)

    def __str__(self) -> str:
        return f"id {self.event_id!r} belongs to event {self.seq}, which is another; use a new id"


class UnsupportedError(StorageError, NotImplementedError):
    """This kind of storage cannot do that at all."""

    def __init__(self, place: str, ability: str) -> None:
        self.place = place
        self.ability = ability
        super().__init__(place, ability)

    def __str__(self) -> str:
        return f"the storage {self.place!r} cannot {self.ability}"


class PluginError(TelemetryError):
    """A plugin is missing, broken or was given settings it does not know."""


class UnknownStorageError(PluginError, LookupError):
    """No installed plugin opens URLs of that scheme."""

    def __init__(self, scheme: str, installed: Iterable[str]) -> None:
        self.scheme = scheme
        self.installed = tuple(installed)
        super().__init__(scheme, self.installed)

    def __str__(self) -> str:
        known = ", ".join(map(repr, self.installed))
        return f"no storage named {self.scheme!r}; installed: {known}"


class PluginLoadError(PluginError, ImportError):
    """The plugin that was asked for cannot be loaded."""

    def __init__(self, plugin: str, reason: str) -> None:
        self.plugin = plugin
        self.reason = reason
        super().__init__(plugin, reason)

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} cannot be loaded: {self.reason}"


class SettingsError(PluginError, _ProblemsError):
    """The settings given for a storage are wrong. `problems` says which."""
