"""Where a command goes: to the service, or to a storage without one, in the same words."""

from __future__ import annotations

import functools
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click
from attrs import frozen

from telemetry_core.cli.exits import FAILED, NOT_FOUND, CommandError
from telemetry_core.cli.messages import verbose_option
from telemetry_http.errors import TelemetryClientError
from telemetry_http.settings import DEFAULT_HOST, DEFAULT_PORT

if TYPE_CHECKING:
    from telemetry_core import Draft, Plugins, Recorder, Run
    from telemetry_http.client import TelemetryClient

_NOT_FOUND = 404
_CLIENT_ERRORS = range(400, 500)

Record = dict[str, Any]
"""An event as its five-key envelope, or a run as the service shows it."""

Command = TypeVar("Command", bound=Callable[..., Any])


@frozen(kw_only=True)
class Place:
    """Where the user wants a command to go, not yet opened."""

    host: str
    port: int
    storage: str | None
    plugins: Plugins

    def open(self, *, read_only: bool) -> Target:
        """
        Return the target; one that only reads needs no lock on a storage.

        Raises:
            StorageError, PluginError: The storage cannot be opened.
        """
        if self.storage is not None:
            import telemetry_core

            options: dict[str, Any] = {}
            if read_only and self._knows_read_only():
                options["read_only"] = True
            return StorageTarget(telemetry_core.open(self.storage, plugins=self.plugins, **options))
        return ServiceTarget(self.client())

    def _knows_read_only(self) -> bool:
        """Whether that kind of storage can be opened so; the contract leaves it to each."""
        import attrs

        from telemetry_core.plugins import split_url

        kind = self.plugins.storage_type(split_url(self.storage or "")[0])
        return any(field.name == "read_only" for field in attrs.fields(kind.settings))

    def client(self) -> TelemetryClient:
        """Return a client of the service there."""
        from telemetry_http.client import TelemetryClient

        return TelemetryClient(self.host, self.port)


def service_options(command: Command) -> Command:
    """Give *command* the options `--host` and `--port` of a running service, and `--verbose`."""
    command = click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=DEFAULT_PORT,
        envvar=["TELEMETRY_PORT", "PANOPTES_TELEMETRY_PORT"],
        show_envvar=True,
        show_default=True,
        help="Port of the service.",
    )(command)
    command = click.option(
        "--host",
        default=DEFAULT_HOST,
        envvar=["TELEMETRY_HOST", "PANOPTES_TELEMETRY_HOST"],
        show_envvar=True,
        show_default=True,
        help="Host of the service.",
    )(command)
    return verbose_option(command)


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* the options of a service or a storage, as its first argument `place`."""

    @click.option(
        "--storage",
        metavar="URL",
        help="Use this storage or site directory itself, without a service.",
    )
    @service_options
    @functools.wraps(command)
    def placed(host: str, port: int, storage: str | None, **options: Any) -> Any:
        named = {"host", "port"} & given_on_command_line()
        if storage is not None and named:
            raise click.UsageError(
                f"--storage goes without a service; leave out --{' and --'.join(sorted(named))}"
            )
        plugins = click.get_current_context().obj
        place = Place(host=host, port=port, storage=storage, plugins=plugins)
        return command(place, **options)

    return placed


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
    def record_many(self, drafts: list[Draft]) -> tuple[int, list[tuple[int, str]]]:
        """Record *drafts*; return how many were, and the places of the others with the reasons."""

    @abstractmethod
    def history(self, **selection: Any) -> Iterator[Record]:
        """Yield the stored events that the fields of a `Selection` ask for, in ascending seq."""

    @abstractmethod
    def follow(self, *, after: int | None, **selection: Any) -> Iterator[Record]:
        """Yield events as they are recorded, from behind the seq *after* or from now on."""

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
    def stop_run(self, status: str, reason: str | None) -> Record:
        """Stop the active run and return it."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ServiceTarget(Target):
    """The running service."""

    def __init__(self, client: TelemetryClient) -> None:
        self._client = client

    def current(self) -> dict[str, Record]:
        """Return the latest event of each type, by type."""
        with _answers():
            return {type_: dict(event) for type_, event in self._client.current().items()}

    def record(self, draft: Draft) -> Record:
        """Record one event and return it."""
        with _answers():
            event = self._client.post_event(
                draft.type,
                draft.data,
                make_current=draft.make_current,
                meta=draft.meta,
                store_permanently=draft.store_permanently,
                ts=draft.ts,  # the commands take text only
                stream=draft.stream,
                id=draft.id,
            )
            return dict(event)

    def record_many(self, drafts: list[Draft]) -> tuple[int, list[tuple[int, str]]]:
        """Record *drafts* as batches."""
        with _answers():
            report = self._client.post_events(drafts)
        # The client's blocks are no larger than the number of lines that a report names.
        refused = [(one.line - 1, one.detail) for one in report.rejected]
        return report.accepted + report.duplicates, refused

    def history(self, **selection: Any) -> Iterator[Record]:
        """Yield the stored events that are asked for."""
        with _answers():
            for event in self._client.history(**selection):
                yield dict(event)

    def follow(self, *, after: int | None, **selection: Any) -> Iterator[Record]:
        """Yield events as they are recorded."""
        with _answers():
            for event in self._client.stream(after=after, **selection):
                yield dict(event)

    def runs(self) -> list[Record]:
        """Return all runs in the order they were first started."""
        with _answers():
            return self._client.runs()

    def find_run(self, run_id: str) -> Record:
        """Return the run of that id."""
        with _answers():
            return self._client.run(run_id)

    def start_run(self, run_id: str | None, meta: Mapping[str, Any]) -> Record:
        """Start a run and return it."""
        with _answers():
            started = self._client.start_run(run_id=run_id, meta=meta)
            return self._client.run(started["run_id"])

    def stop_run(self, status: str, reason: str | None) -> Record:
        """Stop the active run and return it."""
        with _answers():
            stopped = self._client.stop_run(status=status, reason=reason)
            return self._client.run(stopped["run_id"])

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


class StorageTarget(Target):
    """A storage opened by this process."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def current(self) -> dict[str, Record]:
        """Return the latest event of each type, by type."""
        from telemetry_core.codec import event_dict

        return {type_: event_dict(event) for type_, event in self._recorder.current().items()}

    def record(self, draft: Draft) -> Record:
        """Record one event and return it."""
        from telemetry_core import IdConflictError, InvalidEventError
        from telemetry_core.codec import event_dict

        try:
            event = self._recorder.record(
                draft.type,
                draft.data,
                ts=draft.ts,
                meta=draft.meta,
                make_current=draft.make_current,
                store_permanently=draft.store_permanently,
                stream=draft.stream,
                id=draft.id,
            )
        except (InvalidEventError, IdConflictError) as error:
            raise RefusedError(str(error)) from error
        return event_dict(event)

    def record_many(self, drafts: list[Draft]) -> tuple[int, list[tuple[int, str]]]:
        """Record *drafts*: as one batch, or one by one when one of them is refused."""
        from telemetry_core import IdConflictError, InvalidEventError

        try:
            return len(self._recorder.record_many(drafts)), []
        except (InvalidEventError, IdConflictError):
            pass
        refused = []
        for place, draft in enumerate(drafts):
            try:
                self.record(draft)
            except RefusedError as error:
                refused.append((place, error.message))
        return len(drafts) - len(refused), refused

    def history(self, **selection: Any) -> Iterator[Record]:
        """Yield the stored events that are asked for."""
        from telemetry_core.codec import event_dict

        return map(event_dict, self._recorder.history(**selection))

    def follow(self, *, after: int | None, **selection: Any) -> Iterator[Record]:
        """Yield events as they are recorded."""
        from telemetry_core.codec import event_dict

        return map(event_dict, self._recorder.follow(after=after, **selection))

    def runs(self) -> list[Record]:
        """Return all runs in the order they were first started."""
        return [self._shown(run) for run in self._recorder.runs()]

    def find_run(self, run_id: str) -> Record:
        """Return the run of that id."""
        return self._shown(self._recorder.find_run(run_id))

    def start_run(self, run_id: str | None, meta: Mapping[str, Any]) -> Record:
        """Start a run and return it."""
        return self._shown(self._recorder.start_run(run_id, meta=meta))

    def stop_run(self, status: str, reason: str | None) -> Record:
        """Stop the active run and return it."""
        return self._shown(self._recorder.stop_run(status=status, reason=reason))

    def close(self) -> None:
        """Close the storage."""
        self._recorder.close()

    def _shown(self, run: Run) -> Record:
        site_dir = getattr(self._recorder.storage, "site_dir", "")
        return {
            "run_dir": os.path.join(site_dir, run.directory or run.run_id),  # noqa: PTH118 - text
            "run_id": run.run_id,
            "meta": dict(run.meta),
            "started_at": run.started_at,
            "stopped_at": run.stopped_at,
            "status": run.status,
            "reason": run.reason,
            "events": run.events,
            "first_seq": run.first_seq,
            "last_seq": run.last_seq,
        }


@contextmanager
def _answers() -> Iterator[None]:
    """Turn what the service refuses into the error of a command."""
    from telemetry_core import InvalidEventError

    try:
        yield
    except InvalidEventError as error:
        raise RefusedError(str(error)) from error
    except TelemetryClientError as error:
        if error.status_code == _NOT_FOUND:
            raise CommandError(error.detail, NOT_FOUND) from error
        if error.status_code in _CLIENT_ERRORS:
            raise RefusedError(error.detail) from error
        raise CommandError(f"the service failed: {error}", FAILED) from error


def given_on_command_line() -> set[str]:
    """Return the names of the parameters that stand on the command line, not in the environment."""
    context = click.get_current_context()
    given = click.core.ParameterSource.COMMANDLINE
    return {name for name in context.params if context.get_parameter_source(name) is given}
