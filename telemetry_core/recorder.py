"""Recorder: the object a program talks to."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Self

from attrs import evolve

from telemetry_core.blocks import BlockEvents
from telemetry_core.clock import Clock, format_ts, system_clock
from telemetry_core.commit import Commit, DirectCommit, GroupCommit
from telemetry_core.ephemeral import EphemeralValues
from telemetry_core.errors import (
    InvalidEventError,
    InvalidRunError,
    InvalidSelectionError,
    NoActiveRunError,
    Problem,
    StorageError,
    UnknownRunError,
)
from telemetry_core.events import Draft, Event
from telemetry_core.following import follow
from telemetry_core.forked import ParentsStorage
from telemetry_core.intake import CheckType, Intake, Report
from telemetry_core.observers import Observers
from telemetry_core.plugins import Plugins
from telemetry_core.routing import Router
from telemetry_core.runs import COMPLETED, FAILED, Run, check_run_id, reason_of
from telemetry_core.storage import Selection, Snapshot, Storage
from telemetry_core.validation import Checker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

log = logging.getLogger(__name__)

_OBSERVERS_CLOSE_S = 1.0


def open(
    url: str | os.PathLike[str] = "telemetry",
    *,
    site_types: Iterable[str] = (),
    strict: bool = False,
    plugins: Plugins | Iterable[object] = (),
    clock: Clock = system_clock,
    **options: Any,
) -> Recorder:
    """
    Open the storage at *url* and return a recorder for it.

    A plain path means a site directory of NDJSON files, made if it is missing; any other storage
    is named by its URL, and only its plugin is loaded. *options* go to the storage, beside those in
    the URL's query: `read_only=True` needs no lock, `timezone="Pacific/Honolulu"` says where noon
    is. Events of *site_types* go to the site stream also during a run. With *strict*, NaN and
    infinities are refused instead of becoming null. *plugins* are plugin objects, or a `Plugins`
    that holds more of them.

    Raises:
        UnknownStorageError: No installed plugin opens such URLs.
        SettingsError: An option is unknown or wrong.
        StorageInUseError: Another process writes there.
        StorageError: It cannot be opened.
    """
    found = plugins if isinstance(plugins, Plugins) else Plugins(plugins)
    storage = found.open_storage(url, options)
    try:
        return Recorder(storage, site_types=site_types, strict=strict, plugins=found, clock=clock)
    except BaseException:
        storage.close()
        raise


class Recorder:
    """
    Stamps, checks and routes events, hands them to a storage, and tells observers.

    May be used by any number of threads. Closing it closes the storage.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        site_types: Iterable[str] = (),
        strict: bool = False,
        plugins: Plugins | None = None,
        clock: Clock = system_clock,
    ) -> None:
        plugins = plugins or Plugins()
        capabilities = storage.capabilities
        self._storage = storage
        self._clock = clock
        self._checker = Checker(
            plugins.make_converter(),
            max_event_bytes=capabilities.max_event_bytes,
            strict=strict,
        )
        self._check = self._checker.check
        self._router = Router((site_types,) if isinstance(site_types, str) else site_types)
        self._router.set_active_run(storage.active_run())
        self._observers = Observers(plugins.manager)
        self._prepare = plugins.hook.telemetry_prepare_event.get_hookimpls()
        self._intake = Intake(self._checker, self._prepared if self._prepare else None)
        self._ephemeral = None if capabilities.keeps_ephemeral else EphemeralValues()
        self._closing = threading.RLock()
        self._closed = threading.Event()
        is_shared = capabilities.costly_commit or capabilities.shared_writers
        commit = GroupCommit if is_shared else DirectCommit
        self._commit: Commit = commit(storage, self._router, self._observers, clock)
        _recorders.add(self)

    @property
    def storage(self) -> Storage:
        """The opened storage, for what only this kind of storage can do."""
        return self._storage

    @property
    def nulled(self) -> int:
        """How many NaN and infinite numbers were recorded as null since this was opened."""
        return self._checker.nulled

    @property
    def missed(self) -> int:
        """How many facts observers missed because they were too slow."""
        return self._observers.missed

    # To be given by keyword all the same: seven keyword-only defaults take Python as long to fill
    # in as it takes to stamp and route the event (measured, 3.11 to 3.13).
    def record(  # noqa: PLR0917
        self,
        type: str,  # noqa: A002
        data: Any,
        ts: str | datetime | None = None,
        meta: Mapping[str, Any] | None = None,
        make_current: bool = True,  # noqa: FBT001, FBT002
        store_permanently: bool = True,  # noqa: FBT001, FBT002
        stream: str | None = None,
        id: str | None = None,  # noqa: A002
        durable: bool = False,  # noqa: FBT001, FBT002
    ) -> Event:
        """
        Record one event and return it with its seq.

        *data* is any JSON value, or what the plugins' converters make one of. During a run it goes
        to the run's stream, unless *stream* is `"site"`. Without *make_current* it does not become
        the current value of its type (for back-fills); without *store_permanently* it only does
        that. The same *id* is stored once, so a call can be repeated. With *durable* the event
        survives a power cut when this returns.

        Raises:
            InvalidEventError: It cannot be stored and read back; nothing was written.
            StorageError: The storage did not keep it.
        """
        if self._prepare:
            draft = Draft(
                type,
                data,
                ts=ts,
                meta=meta,
                make_current=make_current,
                store_permanently=store_permanently,
                stream=stream,
                id=id,
            )
            checked = self._checker.check_draft(self._prepared(draft))
        else:
            checked = self._check(type, data, ts, meta, make_current, store_permanently, stream, id)
        event = self._commit.append_one(checked, durable)
        if self._ephemeral is not None:
            self._ephemeral.remember((event,))
        return event

    def record_many(self, drafts: Iterable[Draft], *, durable: bool = False) -> list[Event]:
        """
        Record *drafts* as one batch, all or nothing, and return their events in the same order.

        Raises:
            InvalidEventError: One of them cannot be stored and read back; nothing was written. The
                paths of its problems begin with the place in the batch, as in `$[3].data`.
            StorageError: The storage did not keep them.
        """
        check = self._checker.check_draft
        batch = []
        for index, draft in enumerate(drafts):
            try:
                batch.append(check(self._prepared(draft) if self._prepare else draft))
            except InvalidEventError as error:
                raise _placed(error, index) from None
        if not batch:
            return []
        events = self._commit.append(batch, durable=durable)
        if self._ephemeral is not None:
            self._ephemeral.remember(events)
        return events

    def record_json(
        self,
        texts: Sequence[bytes],
        *,
        durable: bool = False,
        check_type: CheckType | None = None,
    ) -> Report:
        """
        Record the events in *texts*, each the JSON of one, and report what became of each.

        Each has at least `type` and `data`, and may have the other fields of a draft. What is not
        JSON in UTF-8, or no event, is rejected and costs the others nothing; the others are one
        batch. An id that belongs to another event is rejected, too, and then they are several.
        Blank texts are passed over. *check_type* is called with the types of those that are right
        otherwise, and refuses one by raising `InvalidEventError`.

        Raises:
            StorageError: The storage did not keep them; where ids were in conflict, not all.
        """
        report = self._intake.record(texts, self._commit, durable=durable, check_type=check_type)
        if self._ephemeral is not None and not isinstance(report.events, BlockEvents):
            self._ephemeral.remember(report.events)
        return report

    def current(self) -> Snapshot:
        """
        Return the latest event of each type, as a mapping by type, in order of seq.

        `as_of_seq` of it is a cursor: `follow(after=snapshot.as_of_seq)` goes on from there.
        """
        if self._ephemeral is None:
            return self._storage.current()
        return self._ephemeral.laid_over(self._storage)

    def history(self, **selection: Any) -> Iterator[Event]:
        """
        Yield stored events in ascending seq, chosen by the fields of `Selection`.

        `history(types="weather", since="2026-03-18T00:00:00Z")`, `history(run="001", last=10)`.

        Raises:
            InvalidSelectionError: The selection cannot be asked for.
            StorageError: The storage cannot be read.
        """
        return self._storage.read(Selection(**selection))

    def follow(
        self, *, after: int | None = None, max_lag: int | None = None, **selection: Any
    ) -> Iterator[Event]:
        """
        Yield stored events as they come, without a hole, from the seq *after* on, for ever.

        Without *after* it begins with what is recorded from now on. It ends when the recorder is
        closed, or after as many events as `limit` says. *selection* narrows it as for `history`.

        A slow follower misses nothing, it only falls behind. It is told when what it had yet to
        see was removed to make room, or when it is more than *max_lag* seqs behind.

        Raises:
            InvalidSelectionError: The selection cannot be asked for; `last` cannot, because what
                goes on for ever has no end to count from.
            LaggedError: See above; its `after` is where to go on.
        """
        chosen = Selection(**selection)
        if chosen.last is not None:
            problem = Problem("$.last", "a follower has no end to count from; give after")
            raise InvalidSelectionError([problem])
        start = self._storage.wait(0, 0) if after is None else after
        selected = evolve(chosen, after=start, limit=None)
        followed = follow(self._storage, selected, max_lag, self._is_closed)
        return followed if chosen.limit is None else itertools.islice(followed, chosen.limit)

    def start_run(
        self,
        run_id: str | None = None,
        *,
        meta: Mapping[str, Any] | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> Run:
        """
        Start a run and return it; from now on events go to its stream.

        Without *run_id* it is `meta["run_id"]`, else the last part of *directory*, else the next
        number: `001`, `002`, …. An id that was used before resumes that run. *directory* is where
        a storage of files keeps the run, below the site directory.

        Raises:
            RunActiveError: A run is active.
            InvalidRunError: The id, the directory or the meta cannot be used; nothing was created.
            StorageError: The storage did not keep it.
        """
        kept = self._check_run_meta(meta)
        path = None if directory is None else os.fspath(directory)
        named = run_id if run_id is not None else kept.get("run_id")
        if named is None and path is not None:
            named = os.path.basename(path.rstrip("/"))  # noqa: PTH119  # text, not a path of this machine
        if named is not None:
            check_run_id(named)

        def start() -> Run:
            wanted = self._storage.next_run_id() if named is None else named
            run = self._storage.start_run(
                Run(
                    run_id=wanted,
                    started_at=format_ts(self._clock()),
                    meta={**kept, "run_id": wanted},
                    directory=path,
                )
            )
            self._router.set_active_run(run)
            self._observers.run_started(run)
            return run

        return self._commit.call(lambda: self._changing_runs(start))

    def stop_run(
        self, run_id: str | None = None, *, status: str = COMPLETED, reason: str | None = None
    ) -> Run:
        """
        Stop the active run, which must be *run_id* if that is given, and return it.

        Raises:
            NoActiveRunError: No run is active, or another one.
            InvalidRunError: *status* is none a stopped run can have, or *reason* cannot be kept.
            StorageError: The storage did not keep it.
        """

        def stop() -> Run:
            active = self._storage.active_run()
            if active is None or (run_id is not None and active.run_id != run_id):
                raise NoActiveRunError(run_id)
            stopped = active.stopped(format_ts(self._clock()), status=status, reason=reason)
            run = self._storage.finish_run(stopped)
            self._router.set_active_run(None)
            self._observers.run_stopped(run)
            return run

        return self._commit.call(lambda: self._changing_runs(stop))

    def _changing_runs(self, action: Callable[[], Run]) -> Run:
        """Return what *action* returns; after an error, events go where the storage says."""
        try:
            return action()
        except BaseException:
            with contextlib.suppress(StorageError):
                self._router.set_active_run(self._storage.active_run())
            raise

    @contextlib.contextmanager
    def run(
        self,
        run_id: str | None = None,
        *,
        meta: Mapping[str, Any] | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> Iterator[Run]:
        """
        Record a run: `with recorder.run("M42"): …` starts it and stops it at the end.

        It is `completed` when the block ends, `failed` with the error as its reason when the block
        raises. Nothing is raised when somebody else stopped the run meanwhile.

        Raises:
            RunActiveError, InvalidRunError, StorageError: As for `start_run`.
        """
        run = self.start_run(run_id, meta=meta, directory=directory)
        status, reason = COMPLETED, None
        try:
            yield run
        except BaseException as error:
            status, reason = FAILED, reason_of(error)
            raise
        finally:
            try:
                self.stop_run(run.run_id, status=status, reason=reason)
            except NoActiveRunError:
                log.warning("run %r was stopped by somebody else", run.run_id)

    def active_run(self) -> Run | None:
        """Return the active run, with what was counted so far, or `None`."""
        return self._storage.active_run()

    def runs(self) -> Iterator[Run]:
        """Yield all runs in the order they were first started."""
        return self._storage.runs()

    def find_run(self, run_id: str) -> Run:
        """
        Return the run of that id.

        Raises:
            UnknownRunError: There is none.
        """
        for run in self._storage.runs():
            if run.run_id == run_id:
                return run
        raise UnknownRunError(run_id)

    def flush(self) -> None:
        """
        Make everything recorded so far survive a power cut.

        Raises:
            StorageError: That is not certain.
        """
        self._commit.flush()

    def close(self) -> None:
        """
        Close the storage, tell the observers what is waiting, and let go. Twice is fine.

        Raises:
            StorageError: What was recorded last may not survive a power cut. It is closed.
        """
        with self._closing:
            if self._closed.is_set():
                return
            self._closed.set()
            try:
                self._commit.call(self._storage.close)
            finally:
                self._commit.close()
                self._observers.close(_OBSERVERS_CLOSE_S)

    def _prepared(self, draft: Draft) -> Draft:
        for implementation in reversed(self._prepare):
            prepared: Draft | None = implementation.function(draft)  # type: ignore[assignment]
            draft = prepared or draft
        return draft

    def _check_run_meta(self, meta: Mapping[str, Any] | None) -> dict[str, Any]:
        try:
            return self._checker.check_meta({} if meta is None else meta)
        except InvalidEventError as error:
            raise InvalidRunError(error.problems) from None

    def _is_closed(self) -> bool:
        # Asked each time: in a forked child it is another one, and set.
        return self._closed.is_set()

    def _abandon(self) -> None:
        """In a forked child: the locks, the threads and the storage are the parent's."""
        self._storage = ParentsStorage(self._storage)
        self._commit = DirectCommit(self._storage, self._router, self._observers, self._clock)
        self._closing = threading.RLock()
        self._closed = threading.Event()
        self._closed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _placed(error: InvalidEventError, index: int) -> InvalidEventError:
    return InvalidEventError(
        Problem(f"$[{index}]{problem.path[1:]}", problem.message) for problem in error.problems
    )


_recorders: weakref.WeakSet[Recorder] = weakref.WeakSet()


def _abandon_all() -> None:
    for recorder in list(_recorders):
        recorder._abandon()  # noqa: SLF001


os.register_at_fork(after_in_child=_abandon_all)
