"""The contract between the recorder and a storage, and the words it is written in."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import orjson
from attrs import field, frozen

from telemetry_core.clock import instant_ns
from telemetry_core.codec import event_json
from telemetry_core.errors import (
    IdConflictError,
    InvalidSelectionError,
    Problem,
    UnsupportedError,
)
from telemetry_core.events import copy_of

if TYPE_CHECKING:
    from datetime import datetime

    from telemetry_core.blocks import DraftBlock
    from telemetry_core.events import CheckedDraft, Event
    from telemetry_core.runs import Run

_BLOCK_BYTES = 128 * 1024
_POLL_S = 0.05


@frozen
class Capabilities:
    """
    What an opened storage can do; the recorder and the service adapt to it.

    `durable`: what was appended survives the end of the process. `costly_commit`: an append waits
    for a disk or a network, so the recorder groups what is waiting into one. `returns_at_once`: an
    append and `current` wait for neither, so an event loop may call them itself. `shared_writers`:
    several processes may write at once. `keeps_ephemeral`: `current` knows events that are not in
    the history, so that the recorder need not. `replicates`: it takes events with the seqs that
    another storage gave them. `replicated`: another machine has what was acknowledged.
    `complete_events`: the events it gives have all that their writer said; a view of a storage
    without it knows no `id`, and of `make_current` only what is current now. `max_event_bytes`: the
    largest event as JSON text.
    """

    durable: bool = True
    costly_commit: bool = False
    returns_at_once: bool = False
    shared_writers: bool = False
    keeps_ephemeral: bool = False
    replicates: bool = False
    replicated: bool = False
    complete_events: bool = True
    max_event_bytes: int = 256 * 1024


def _types(types: str | Iterable[str]) -> tuple[str, ...]:
    given: Any = types
    is_one = isinstance(given, str) or not isinstance(given, Iterable)
    return (given,) if is_one else tuple(given)


@frozen(kw_only=True)
class Selection:
    """
    Which events to read: all of them unless narrowed.

    `stream="site"` or `run=ID` choose one stream, `types` the types. `since` (inclusive) and
    `until` (exclusive) bound `ts` as instants; `after` is a cursor: only events of a higher seq.
    `limit` ends after so many events from the start of what is selected, `last` gives so many from
    its end; both come in ascending seq.

    Raises:
        InvalidSelectionError: Something in it cannot be asked for.
    """

    stream: str | None = None
    run: str | None = None
    types: tuple[str, ...] = field(default=(), converter=_types)
    since: str | datetime | None = None
    until: str | datetime | None = None
    after: int = 0
    limit: int | None = None
    last: int | None = None
    since_ns: int | None = field(init=False, repr=False, eq=False, default=None)
    until_ns: int | None = field(init=False, repr=False, eq=False, default=None)

    def __attrs_post_init__(self) -> None:
        problems = [*_wrong_values(self), *_wrong_together(self)]
        for name in ("since", "until"):
            when = getattr(self, name)
            try:
                ns = None if when is None else instant_ns(when)
            except ValueError as error:
                problems.append(Problem(f"$.{name}", str(error)))
            else:
                object.__setattr__(self, f"{name}_ns", ns)
        if problems:
            raise InvalidSelectionError(problems)

    def matches(self, event: Event) -> bool:
        """Whether *event* is selected by its seq, type and time; streams are not looked at."""
        if event.seq <= self.after or (self.types and event.type not in self.types):
            return False
        if self.since_ns is None and self.until_ns is None:
            return True
        try:
            ns = instant_ns(event.ts)
        except ValueError:  # a storage may hold what no recorder of ours wrote
            return False
        return (self.since_ns is None or ns >= self.since_ns) and (
            self.until_ns is None or ns < self.until_ns
        )

    def includes_stream_of(self, event: Event) -> bool:
        """Whether *event* lies in the selected stream."""
        if self.run is not None:
            return event.run_id == self.run
        return self.stream is None or event.run_id is None


def _wrong_values(selection: Selection) -> Iterator[Problem]:
    for name in ("after", "limit", "last"):
        number = getattr(selection, name)
        if number is not None and (type(number) is not int or number < 0):
            yield Problem(f"$.{name}", f"{number!r} is no whole number from 0 on")
    for type_ in selection.types:
        if not isinstance(type_, str):
            yield Problem("$.types", f"{type_!r:.100} is no type; give text")
    if not isinstance(selection.run, str | None):
        yield Problem("$.run", f"{selection.run!r:.100} is no run id; give text")
    if selection.stream not in (None, "site"):
        message = f"{selection.stream!r} is no stream; use 'site', or run=ID for a run's stream"
        yield Problem("$.stream", message)


def _wrong_together(selection: Selection) -> Iterator[Problem]:
    if selection.run is not None and selection.stream is not None:
        yield Problem("$.run", "give either stream or run, not both")
    if selection.limit is not None and selection.last is not None:
        yield Problem("$.last", "give either limit or last, not both")


EVERYTHING = Selection()


@frozen
class Snapshot(Mapping[str, "Event"]):
    """The latest event of each type, by type, as it was when `as_of_seq` was the last seq."""

    as_of_seq: int
    events: Mapping[str, Event] = field(factory=dict)

    def __getitem__(self, type: str) -> Event:  # noqa: A002
        return self.events[type]

    def __iter__(self) -> Iterator[str]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)


class Storage(ABC):
    """
    The place where events, current values and runs are kept.

    What changes it (`append`, `start_run`, `finish_run`, `close`) is called by one thread at a
    time; what reads it (`read`, `current`, `runs`, `active_run`, `wait`), and `flush`, may be
    called from any thread meanwhile and sees whole batches. A storage is required to have `append`,
    `read`, `start_run`, `finish_run`, `runs` and `close`; the rest has a slow and right default.

    An error derived from `StorageError` says that nothing was kept, except `OutcomeUnknownError`.
    Whoever gets an event may change its data and meta; what is stored stays as it is. Each promise
    has a name in `docs/storage.md` and a test in `telemetry_core.testing`.
    """

    __slots__ = ()

    @property
    def capabilities(self) -> Capabilities:
        """What this storage can do; the same from opening to closing."""
        return Capabilities()

    @abstractmethod
    def append(self, drafts: Sequence[CheckedDraft], recorded_ns: int) -> list[Event]:
        """
        Keep *drafts*, all of them or none, after everything already kept.

        The drafts are the storage's from then on: it may turn them into the events it returns.

        Each draft gets a seq above every seq the site ever gave, in the order of the batch, also
        an ephemeral one (`store_permanently` is false: it is not part of the history). A draft
        with `make_current` becomes the current event of its type. One whose `id` was stored
        before takes no seq: the event already stored is returned, marked `is_duplicate`. The id of
        an ephemeral event may be forgotten.
        *recorded_ns* is the time of recording in nanoseconds since 1970; the time an event says
        of itself is its `ts`. On return `read` and `current` show the events.

        Raises:
            IdConflictError: An id belongs to an event of another type or with other data.
            NoActiveRunError: A draft belongs to a run that is not active.
            StorageFullError: There is no room.
            StorageReadOnlyError: It was opened read-only.
            StorageUnavailableError: It cannot be written now.
            StorageClosedError: It was closed before.
            OutcomeUnknownError: Nobody can say whether the batch was kept.
        """

    def append_one(self, draft: CheckedDraft, recorded_ns: int) -> Event:
        """
        Keep one draft as `append` keeps a batch, and return its event.

        For a storage that does this often enough for a list around it to matter.

        Raises:
            StorageError: As for `append`.
        """
        return self.append((draft,), recorded_ns)[0]

    def append_block(self, block: DraftBlock, recorded_ns: int) -> Sequence[Event]:
        """
        Keep the drafts of a *block* as `append` keeps a batch, and return their events.

        For a storage that can write many events down without looking at each.

        Raises:
            StorageError: As for `append`.
        """
        return self.append(block.drafts(), recorded_ns)

    @abstractmethod
    def read(self, selection: Selection = EVERYTHING) -> Iterator[Event]:
        """
        Yield the stored events that *selection* asks for, in ascending seq.

        Lazy and in bounded memory. What was appended before the call is there; what is appended
        after it may be missing, but never a batch in part. An unknown run yields nothing. An error
        may come only when the first event is asked for.

        Raises:
            StorageClosedError: It was closed before.
            StorageUnavailableError: It cannot be read now.
        """

    def read_json(self, selection: Selection = EVERYTHING) -> Iterator[bytes]:
        """
        Yield what `read` yields as NDJSON: in blocks of whole lines, none of them empty.

        A line is an event as JSON, with the five keys `seq`, `ts`, `type`, `data` and `meta`. For a
        storage that has such text already. The rest is as for `read`.

        Raises:
            StorageError: As for `read`.
        """
        block: list[bytes] = []
        size = 0
        for event in self.read(selection):
            block += (event_json(event), b"\n")
            size += len(block[-2])
            if size >= _BLOCK_BYTES:
                yield b"".join(block)
                block, size = [], 0
        if block:
            yield b"".join(block)

    @abstractmethod
    def start_run(self, run: Run) -> Run:
        """
        Make *run* the active run if none is, and return it as it was kept.

        Exactly one of several racing callers wins. A run whose id was used before is resumed:
        its stream goes on, the first `started_at` and the counts stay, the new meta is laid over
        the old one.

        Raises:
            RunActiveError: A run is active; the error carries it.
            InvalidRunError: The run cannot be kept under its id or directory.
            StorageError: As for `append`.
        """

    @abstractmethod
    def finish_run(self, run: Run) -> Run:
        """
        End the active run as *run* says (`stopped_at`, `status`, `reason`), with its final counts.

        Raises:
            NoActiveRunError: No run is active, or another one.
            StorageError: As for `append`.
        """

    @abstractmethod
    def runs(self) -> Iterator[Run]:
        """Yield every run in the order they were first started, the active one with its counts."""

    @abstractmethod
    def close(self) -> None:
        """
        Make everything appended survive a power cut, and let go. Twice is fine.

        Every other call raises `StorageClosedError` afterwards.
        """

    def active_run(self) -> Run | None:
        """Return the active run, also one started before a restart."""
        return next((run for run in self.runs() if run.is_active), None)

    def next_run_id(self) -> str:
        """Return the number after the highest numeric run id, with at least three digits."""
        return run_id_after(run.run_id for run in self.runs())

    def current(self) -> Snapshot:
        """Return the latest event of each type that asked to be current, in order of seq."""
        last_seq = 0
        events: dict[str, Event] = {}
        for event in self.read():
            last_seq = event.seq
            if event.make_current:
                events.pop(event.type, None)
                events[event.type] = event
        return Snapshot(last_seq, events)

    def wait(self, after: int, timeout: float | None = None) -> int:
        """
        Return the last stored seq once it has passed *after*, or when *timeout* seconds are over.

        `None` waits for ever. The number is 0 while nothing was ever stored.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            last = max((event.seq for event in self.read(Selection(after=after))), default=0)
            if last:
                return last
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return max((event.seq for event in self.read()), default=0)
            time.sleep(_POLL_S if left is None else min(_POLL_S, left))

    def removed_through(self) -> int:
        """
        Return the highest seq that was taken out of the history to make room, 0 if none was.

        A follower whose cursor lies before it may have missed events.
        """
        return 0

    def flush(self) -> None:
        """
        Make everything appended so far survive a power cut.

        Raises:
            StorageError: As for `append`; what was appended may not survive.
        """
        self.check_writable()

    def check_writable(self) -> None:
        """
        Return if an append would now be taken, as far as can be told without one.

        Raises:
            StorageError: It would not, and why.
        """
        self.active_run()

    def replicate(self, events: Sequence[Event]) -> None:
        """
        Keep *events* under the seqs they carry, all or none; those kept before are passed over.

        They are in ascending seq. Each goes to the stream it belongs to; its run is active, as for
        `append`. An event is made current as its writer asked, unless one of a higher seq is; one
        with `store_permanently` false does only that. Numbers given later are above all of them.
        A call without events tells whether this storage can replicate.

        Raises:
            UnsupportedError: This storage gives its own numbers only.
            IdConflictError: A seq is taken by another event.
            NoActiveRunError: An event belongs to a run that is not active.
            StorageError: As for `append`.
        """
        raise UnsupportedError(type(self).__name__, "take events with given seqs")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def duplicate_of(draft: CheckedDraft, event: Event) -> Event:
    """
    Return *event*, stored under the id of *draft*, as the answer to a retry.

    Raises:
        IdConflictError: *draft* is another event: its type or data differ.
    """
    # By the JSON text: whoever got the event may have changed the values it was decoded to.
    if event.type != draft.type or not _is_same_json(event.data_json, draft.data_json):
        raise IdConflictError(draft.id or "", event.seq)
    return copy_of(event, is_duplicate=True)


def _is_same_json(one: bytes, other: bytes) -> bool:
    return one == other or _is_same(orjson.loads(one), orjson.loads(other))


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are one in JSON: to Python 1 equals True, to JSON it does not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def run_id_after(run_ids: Iterator[str] | Sequence[str]) -> str:
    """Return the number after the highest of those *run_ids* that are numbers, as `001`."""
    numbers = (int(name) for name in run_ids if name.isascii() and name.isdigit())
    return f"{max(numbers, default=0) + 1:03d}"


@frozen(kw_only=True)
class StorageType:
    """
    A kind of storage, as a plugin registers it.

    `scheme` is what URLs of it begin with. `settings` is an attrs class with a field `url` (what
    was asked for, without its query) and, where the storage can, `read_only`; its other fields are
    the options of the URL's query and of `telemetry_core.open`. `open` makes the storage from it.
    """

    scheme: str
    summary: str
    settings: type
    open: Callable[[Any], Storage]
