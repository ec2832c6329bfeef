"""
Live: what is recorded, as it is recorded, for any number of clients.

One thread reads what is new from the storage and makes a frame of each event once. The latest
frames stand in one bounded tail that all clients look at. A client that is behind the tail reads
the storage itself until it has caught up, so a slow one costs no memory and misses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError
from functools import partial
from typing import Any, Final, TypeVar

import orjson
from attrs import evolve, frozen

from telemetry_core import Event, Recorder, Run, Selection, Snapshot, StorageClosedError
from telemetry_core.codec import event_json

T = TypeVar("T")

log = logging.getLogger(__name__)

TAIL_FRAMES: Final = 1000
TAIL_BYTES: Final = 4 * 1024 * 1024
BLOCK_EVENTS: Final = 256
BLOCK_BYTES: Final = 256 * 1024
"""A block that is read from the storage ends when it has so many events or bytes."""

HEARTBEAT: Final = b":\n\n"
_WAIT_S: Final = 1.0


@frozen(eq=False)
class Frame:
    """What a client is sent of an event, or of a run: then `event` is `None`."""

    text: bytes
    event: Event | None


class Live:
    """
    The live part of one service. Its clients are all in one event loop.

    *ask* calls what may have to wait for the storage, *facts_of* says what is told of a run.

    The tail holds every event of a seq above any that it held before; a place in it is the number
    of frames that ever stood before that place.
    """

    def __init__(
        self,
        recorder: Recorder,
        ask: Callable[[Callable[[], Any]], Awaitable[Any]],
        facts_of: Callable[[Run], dict[str, Any]],
    ) -> None:
        self._recorder = recorder
        self._ask = ask
        self._facts_of = facts_of
        self._storage = recorder.storage
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clients = 0
        self._is_reading = False
        self._is_over = False
        self._changed = asyncio.Event()
        self._tail: deque[Frame] = deque()
        self._tail_bytes = 0
        self._next_place = 0
        self._last_seq = 0

    async def follow(
        self, selection: Selection, *, after: int | None, max_lag: int | None, heartbeat_s: float
    ) -> AsyncGenerator[bytes, None]:
        """
        Yield frames from behind the seq *after* on, or from now on, without a hole.

        The first one tells which run is active and at which seq the client begins. One that is
        more than *max_lag* seqs behind is told so and goes on with what is new; so is one for which
        something was removed from the history before it was read. Nothing for *heartbeat_s* seconds
        is told, too. It ends when the storage is closed.
        """
        self._clients += 1
        try:
            await self._begin_reading()
            cursor = self._last_seq if after is None else after
            place, target = self._next_place, self._last_seq
            yield await self._state(cursor)
            if cursor > self._last_seq and cursor > await self._newest_seq():
                # It comes from before the site was made anew: what it knows says nothing here.
                yield _lagged(cursor, target)
                cursor = target
            while not self._is_over:
                if max_lag is not None and self._last_seq - cursor > max_lag:
                    yield _lagged(cursor, self._last_seq)
                    cursor = self._last_seq
                if place < self._first_place:
                    # What it had yet to see is not in the tail any more.
                    place, target = self._next_place, self._last_seq
                    yield await self._state(cursor)
                if cursor < target:
                    frames, cursor = await self._ask(partial(self._replay, selection, cursor))
                    if frames:
                        yield frames
                    continue
                changed = self._changed
                frames = self._news(selection, place, cursor)
                place, cursor = self._next_place, max(cursor, self._last_seq)
                if frames:
                    yield frames
                elif not await _is_set_within(changed, heartbeat_s):
                    yield HEARTBEAT
        finally:
            self._clients -= 1

    def run_started(self, run: Run) -> None:
        """Tell all clients that *run* started; may be called in any thread."""
        self._tell_run("started", run)

    def run_stopped(self, run: Run) -> None:
        """Tell all clients that *run* stopped; may be called in any thread."""
        self._tell_run("stopped", run)

    @property
    def _first_place(self) -> int:
        return self._next_place - len(self._tail)

    def _news(self, selection: Selection, place: int, cursor: int) -> bytes:
        """Return what stands in the tail from *place* on, without what the *cursor* is past."""
        return b"".join(
            frame.text
            for frame in itertools.islice(self._tail, place - self._first_place, None)
            if frame.event is None
            or (
                frame.event.seq > cursor
                and selection.matches(frame.event)
                and selection.includes_stream_of(frame.event)
            )
        )

    def _replay(self, selection: Selection, cursor: int) -> tuple[bytes, int]:
        """Return the next frames behind *cursor* from the storage, and the cursor behind them."""
        asked = cursor
        # What was there before the read is what the next read need not look at again.
        seen = self._storage.wait(cursor, 0)
        block, is_last = _next_block(self._storage.read(evolve(selection, after=cursor)))
        cursor = max([cursor, seen if is_last else 0, *(event.seq for event in block[-1:])])
        frames = b"".join(map(_event_frame, block))
        # Looked at behind the read, so that nothing can be removed in between unseen.
        removed = self._storage.removed_through()
        if 0 < asked < removed:
            cursor = max(cursor, removed)
            frames = _lagged(asked, removed) + frames
        return frames, cursor

    async def _state(self, cursor: int) -> bytes:
        run = await self._ask(self._recorder.active_run)
        frame = self._run_frame("none" if run is None else "active", run)
        return b"id: %d\nretry: 1000\n%b" % (cursor, frame)

    async def _newest_seq(self) -> int:
        """Return the last seq that was given, also to an event that is not in the history."""
        snapshot: Snapshot = await self._ask(self._recorder.current)
        return max(snapshot.as_of_seq, self._last_seq)

    async def _begin_reading(self) -> None:
        """See that the thread reads all that comes behind `_last_seq`."""
        seen = await self._ask(partial(self._storage.wait, 0, 0))
        loop = asyncio.get_running_loop()
        if not self._is_reading or loop is not self._loop:
            self._is_reading, self._loop = True, loop
            self._changed = asyncio.Event()
            self._last_seq = seen
            threading.Thread(
                target=self._read, args=(loop, seen), name="telemetry-live", daemon=True
            ).start()

    def _read(self, loop: asyncio.AbstractEventLoop, cursor: int) -> None:
        """Publish what comes behind *cursor* until nobody wants it: the work of the thread."""
        is_wanted = True
        while is_wanted:
            try:
                seen = self._storage.wait(cursor, _WAIT_S)
                if seen > cursor:
                    events = self._storage.read(Selection(after=cursor))
                    is_last = False
                    while not is_last:
                        block, is_last = _next_block(events)
                        cursor = max([cursor, *(event.seq for event in block[-1:])])
                        frames = [Frame(_event_frame(event), event) for event in block]
                        _run_in(loop, self._publish(frames, cursor))
                    cursor = max(cursor, seen)
            except StorageClosedError:
                _run_in(loop, self._end())
                return
            except Exception:
                log.exception("what is new cannot be read; trying again")
                time.sleep(_WAIT_S)
            is_wanted = _run_in(loop, self._go_on(cursor)) is True

    async def _publish(self, frames: list[Frame], last_seq: int) -> None:
        self._last_seq = last_seq
        self._add(frames)

    async def _go_on(self, last_seq: int) -> bool:
        """Return whether the thread, which has read up to *last_seq*, is to read on."""
        self._last_seq = last_seq
        self._is_reading = self._clients > 0
        return self._is_reading

    async def _end(self) -> None:
        self._is_over = True
        self._add([])

    def _add(self, frames: list[Frame]) -> None:
        self._tail.extend(frames)
        self._tail_bytes += sum(len(frame.text) for frame in frames)
        self._next_place += len(frames)
        while len(self._tail) > TAIL_FRAMES or self._tail_bytes > TAIL_BYTES:
            self._tail_bytes -= len(self._tail.popleft().text)
        self._changed.set()
        self._changed = asyncio.Event()

    def _tell_run(self, fact: str, run: Run) -> None:
        loop = self._loop
        if loop is not None:
            frame = Frame(self._run_frame(fact, run), None)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(self._add, [frame])

    def _run_frame(self, fact: str, run: Run | None) -> bytes:
        facts = {"fact": fact, "run": None if run is None else self._facts_of(run)}
        return b"event: run\ndata: %b\n\n" % orjson.dumps(facts)


def _run_in(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what *work* comes to in another thread's *loop*; `None` when that is no more."""
    try:
        future = asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError:
        work.close()
        return None
    while True:
        try:
            return future.result(_WAIT_S)
        except TimeoutError:
            if loop.is_closed():
                return None
        except CancelledError:
            return None


def _next_block(events: Iterator[Event]) -> tuple[list[Event], bool]:
    """Return some of *events*, and whether they were the last."""
    block: list[Event] = []
    size = 0
    for event in events:
        block.append(event)
        size += len(event.data_json)
        if len(block) == BLOCK_EVENTS or size > BLOCK_BYTES:
            return block, False
    return block, True


def _event_frame(event: Event) -> bytes:
    return b"id: %d\ndata: %b\n\n" % (event.seq, event_json(event))


def _lagged(after: int, resumes_after: int) -> bytes:
    facts = {"after": after, "resumes_after": resumes_after}
    return b"event: lagged\nid: %d\ndata: %b\n\n" % (resumes_after, orjson.dumps(facts))


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
