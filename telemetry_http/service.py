"""TelemetryService: the recorder and what the HTTP side of it needs besides."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from anyio import lowlevel
from attrs import asdict

from telemetry_core import (
    Clock,
    Event,
    IdConflictError,
    InvalidEventError,
    Plugins,
    Run,
    Storage,
    StorageError,
    StorageUnavailableError,
    hookimpl,
    system_clock,
)
from telemetry_core import open as open_recorder
from telemetry_core.clock import instant_ns
from telemetry_core.intake import Report
from telemetry_core.recorder import Recorder
from telemetry_http.bodies import EventRequest, RunAnswer
from telemetry_http.errors import BusyError
from telemetry_http.leases import Leases
from telemetry_http.live import Live
from telemetry_http.open_ended import OpenEnded
from telemetry_http.outage import Outage
from telemetry_http.polling import Pollers
from telemetry_http.promptness import Promptness
from telemetry_http.run_watch import RunWatch
from telemetry_http.tally import MAX_TYPES, KnownTypes, Tally
from telemetry_http.workers import STORAGE_TIMEOUT_S, Workers

T = TypeVar("T")

log = logging.getLogger(__name__)

PostEventHook = Callable[[dict[str, Any], EventRequest], object]

MAX_WAITING = 10_000
_CLOSE_S = 2.0
_LOOK_S = 5.0
_LEASES_CHECKED_S = 0.25
_RUNS_LOOKED_AT_S = 1.0
_CHANGING, _ASKING = 32, 16
_CHANGES_WAITING, _QUESTIONS_WAITING = 1000, 1000


class TelemetryService:
    """
    Owns the recorder that the routes use, and tells the post-event hooks.

    *site_dir* is a site directory or the URL of a storage; *storage* is one opened already.
    *now_provider* returns the time to stamp events with (a naive one is UTC). Each of
    *post_event_hooks* is called with the envelope and the request of an event after it was
    recorded; it may be slow and may raise, and never keeps a caller waiting. Events of more than
    *max_types* types are refused, and a request waits *storage_timeout_s* seconds for the storage.

    Raises:
        StorageError, PluginError: The storage cannot be opened.
    """

    def __init__(
        self,
        site_dir: str | os.PathLike[str] | None = None,
        *,
        storage: Storage | None = None,
        now_provider: Callable[[], datetime] | None = None,
        post_event_hooks: Sequence[PostEventHook] = (),
        site_types: Iterable[str] = (),
        strict: bool = False,
        plugins: Plugins | None = None,
        storage_timeout_s: float = STORAGE_TIMEOUT_S,
        max_types: int = MAX_TYPES,
        **options: Any,
    ) -> None:
        self.open_ended = OpenEnded()
        self.plugins = Plugins() if plugins is None else plugins
        self._told = _ToldOfRuns()
        self.plugins.manager.register(self._told)
        clock = system_clock if now_provider is None else _clock_of(now_provider)
        if storage is not None:
            self.recorder = Recorder(
                storage, site_types=site_types, strict=strict, plugins=self.plugins, clock=clock
            )
        else:
            self.recorder = open_recorder(
                "telemetry" if site_dir is None else site_dir,
                site_types=site_types,
                strict=strict,
                plugins=self.plugins,
                clock=clock,
                **options,
            )
        self._storage_timeout_s = storage_timeout_s
        self.tally = Tally()
        self._outage = Outage()
        self._types = KnownTypes(self.recorder.current(), max_types)
        returns_at_once = self.recorder.storage.capabilities.returns_at_once
        self.promptness = Promptness(returns_at_once=returns_at_once)
        self.changing = Workers(
            "storage",
            threads=_CHANGING,
            waiting=_CHANGES_WAITING,
            timeout_s=storage_timeout_s,
            changes=True,
        )
        self.asking = Workers(
            "storage",
            threads=_ASKING,
            waiting=_QUESTIONS_WAITING,
            timeout_s=storage_timeout_s,
            changes=False,
        )
        # Apart from the others: whoever asks again and again whether a storage that hangs is well
        # would take their threads, one with each question.
        self._looking = Workers(
            "storage",
            threads=2,
            waiting=10,
            timeout_s=min(_LOOK_S, storage_timeout_s),
            changes=False,
        )
        self.live = Live(self.recorder, self.ask, self.run_facts)
        self.leases = Leases(self.recorder)
        watch = RunWatch(
            self.recorder,
            started=(self.leases.run_started, self.live.run_started),
            stopped=(self.leases.run_stopped, self.live.run_stopped),
        )
        self._told.watch = watch
        self._pollers = Pollers()
        self._pollers.start("leases", _LEASES_CHECKED_S, self.leases.check)
        if self.recorder.storage.capabilities.shared_writers:
            self._pollers.start("runs of others", _RUNS_LOOKED_AT_S, watch.look)
        self._hooks = [_Hook(function) for function in post_event_hooks]
        self._shutdown_requested: Callable[[], object] = lambda: None

    async def ask(self, function: Callable[[], T]) -> T:
        """
        Return what *function* reads from the storage, without keeping anybody else waiting.

        Raises:
            BusyError, StorageUnavailableError: The storage does not answer in time.
        """
        return await self.asking.call(function)

    async def look(self, function: Callable[[], T]) -> T:
        """
        Return what *function* says of how the storage is.

        Raises:
            BusyError, StorageUnavailableError: The storage does not answer within some seconds.
        """
        return await self._looking.call(function)

    async def change(self, function: Callable[[], T]) -> T:
        """
        Return what *function* does to the storage, without keeping anybody else waiting.

        Raises:
            BusyError: The storage does not answer in time; nothing was done.
            OutcomeUnknownError: It does not, and what was begun may still be done.
        """
        return await self.changing.call(function)

    async def record(self, wanted: EventRequest) -> Event:
        """
        Record the event that is *wanted*, and count it.

        Raises:
            InvalidEventError, IdConflictError, StorageError: As for `Recorder.record`.
            BusyError: As for `change`.
        """

        def record() -> Event:
            return self.recorder.record(
                wanted.type,
                wanted.data,
                ts=wanted.ts,
                meta=wanted.meta,
                make_current=wanted.make_current,
                store_permanently=wanted.store_permanently,
                stream=wanted.stream,
                id=wanted.id,
            )

        def record_admitted() -> Event:
            with self._types.admission() as check_type:
                check_type(wanted.type)
                return record()

        try:
            event = await self._recorded(record_admitted)
        except (InvalidEventError, IdConflictError):
            self.tally.refused += 1
            raise
        if event.is_duplicate:
            self.tally.duplicates += 1
        else:
            self.tally.recorded += 1
        return event

    async def record_text(self, text: bytes) -> Event | None:
        """
        Record the event in *text* and count it; return `None` if it is refused.

        Then nothing was done, and `record` says why. It is the quicker way for what is right.

        Raises:
            StorageError: As for `Recorder.record_json`.
            BusyError: As for `change`.
        """
        report = await self._record_texts((text,))
        if not report.events:
            return None
        self._count(report)
        return report.events[0]

    async def record_texts(self, texts: Sequence[bytes]) -> Report:
        """
        Record the events in *texts*, each the JSON of one, and report what became of each.

        Raises:
            StorageError: As for `Recorder.record_json`.
            BusyError: As for `change`.
        """
        if self.promptness.is_given:
            # A body that arrives quickly would leave nobody else a turn.
            await lowlevel.checkpoint()
        report = await self._record_texts(texts)
        self._count(report)
        self.tally.refused += len(report.rejected)
        return report

    async def _record_texts(self, texts: Sequence[bytes]) -> Report:
        def record() -> Report:
            with self._types.admission() as check_type:
                return self.recorder.record_json(texts, check_type=check_type)

        return await self._recorded(record)

    async def _recorded(self, record: Callable[[], T]) -> T:
        try:
            # Quicker than a way to another thread and back, where nobody has to wait for it.
            if self.promptness.is_given:
                return self.promptness.call(record)
            return await self.change(record)
        except (StorageError, BusyError) as error:
            self._outage.tell(error)
            raise

    def _count(self, report: Report) -> None:
        self.tally.recorded += len(report.events) - report.duplicates
        self.tally.duplicates += report.duplicates

    def check_writable(self) -> None:
        """
        Return if an event would be recorded now, as far as can be told without one.

        Raises:
            StorageError: It would not, and why.
        """
        hangs_s = self.changing.hangs_s
        if hangs_s is not None:
            reason = f"it has not answered a request for {hangs_s:.0f} s"
            raise StorageUnavailableError(type(self.recorder.storage).__name__, reason)
        self.recorder.storage.check_writable()

    @property
    def has_hooks(self) -> bool:
        """Whether anybody wants to hear of posted events."""
        return bool(self._hooks)

    def event_posted(self, envelope: dict[str, Any], request: EventRequest) -> None:
        """Tell the hooks of an event that was recorded for *request*."""
        for hook in self._hooks:
            hook.put(envelope, request)

    def run_directory(self, run: Run) -> str:
        """Return where *run* is kept: its path, or its name in a storage that has no files."""
        place = run.directory or run.run_id
        site_dir = getattr(self.recorder.storage, "site_dir", None)
        return place if site_dir is None else os.path.join(site_dir, place)  # noqa: PTH118

    def run_facts(self, run: Run) -> dict[str, Any]:
        """Return *run* as the service tells it."""
        facts = RunAnswer(
            run_dir=self.run_directory(run),
            run_id=run.run_id,
            meta=run.meta,
            started_at=run.started_at,
            stopped_at=run.stopped_at,
            status=run.status,
            reason=run.reason,
            events=run.events,
            first_seq=run.first_seq,
            last_seq=run.last_seq,
        )
        return asdict(facts, recurse=False)

    def on_shutdown(self, callback: Callable[[], object]) -> None:
        """Call *callback* when somebody asks the service to stop."""
        self._shutdown_requested = callback

    def request_shutdown(self) -> None:
        """Ask whoever serves this to stop; may be called from any thread."""
        self._shutdown_requested()

    def close(self) -> None:
        """
        Deliver what waits for the hooks, for a short time, and close the recorder.

        A storage that hangs is waited for as long as a request would, and then left.

        Raises:
            StorageError: It is not certain that everything survives a power cut.
        """
        self._pollers.stop()
        for hook in self._hooks:
            hook.close()
        errors: list[BaseException] = []

        def close() -> None:
            try:
                self.recorder.close()
            except BaseException as error:  # noqa: BLE001  # it is raised again below
                errors.append(error)

        closing = threading.Thread(target=close, name="telemetry-close", daemon=True)
        closing.start()
        closing.join(self._storage_timeout_s)
        if closing.is_alive():
            log.error("the storage did not close within %g s and is left", self._storage_timeout_s)
        self.plugins.manager.unregister(self._told)
        if errors:
            raise errors[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _clock_of(now_provider: Callable[[], datetime]) -> Clock:
    def clock() -> int:
        now = now_provider()
        return instant_ns(now if now.tzinfo is not None else now.replace(tzinfo=UTC))

    return clock


class _ToldOfRuns:
    """What the recorder tells of its runs, for those who are made after it."""

    watch: RunWatch | None = None

    @hookimpl
    def telemetry_run_started(self, run: Run) -> None:
        if self.watch is not None:
            self.watch.run_started(run)

    @hookimpl
    def telemetry_run_stopped(self, run: Run) -> None:
        if self.watch is not None:
            self.watch.run_stopped(run)


class _Hook:
    """One post-event hook, fed in order from a bounded queue by a thread of its own."""

    def __init__(self, function: PostEventHook) -> None:
        self._function = function
        self._name = getattr(function, "__name__", repr(function))
        self._waiting: queue.Queue[tuple[dict[str, Any], EventRequest] | None]
        self._waiting = queue.Queue(MAX_WAITING)
        self._missed = 0
        self._thread = threading.Thread(
            target=self._deliver, name=f"telemetry-hook-{self._name}", daemon=True
        )
        self._thread.start()

    def put(self, envelope: dict[str, Any], request: EventRequest) -> None:
        try:
            self._waiting.put_nowait((envelope, request))
        except queue.Full:
            if not self._missed:
                log.warning("post-event hook %s is too slow and misses events", self._name)
            self._missed += 1

    def close(self) -> None:
        try:
            self._waiting.put(None, timeout=_CLOSE_S)
        except queue.Full:
            log.warning("post-event hook %s never came to an end", self._name)
            return
        self._thread.join(_CLOSE_S)

    def _deliver(self) -> None:
        while (waiting := self._waiting.get()) is not None:
            try:
                self._function(*waiting)
            except Exception:
                log.exception("post-event hook %s failed", self._name)
