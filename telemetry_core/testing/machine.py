"""A hypothesis state machine: any storage beside the memory storage, the same calls to both."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, ClassVar

from attrs import evolve, frozen
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from telemetry_core.clock import NS, format_ts
from telemetry_core.errors import IdConflictError, NoActiveRunError, RunActiveError
from telemetry_core.events import CheckedDraft, Event
from telemetry_core.memory import MemoryStorage
from telemetry_core.runs import Run
from telemetry_core.storage import Selection, Storage
from telemetry_core.testing.promise import OpenStorage
from telemetry_core.testing.samples import append, make_draft, make_run

_START_S = 1_773_792_000
_SITE, _RUN, _OTHER = "site", "run", "other run"
_places = itertools.count(1)
_seconds = itertools.count(_START_S)


@frozen
class _Wish:
    """A draft in the words of the machine, from which each storage is given one of its own."""

    type: int
    data: Any
    second: int
    stream: str
    id: int | None
    make_current: bool
    store_permanently: bool


_values: Any = st.sampled_from([None, True, 0, -1.5, "é\u2028", [], {"a": [1, {"b": None}]}])
_wishes = st.builds(
    _Wish,
    type=st.integers(0, 2),
    data=_values,
    second=st.integers(0, 9),
    stream=st.sampled_from([_SITE, _SITE, _RUN, _RUN, _RUN]),
    id=st.none(),
    make_current=st.sampled_from([True, True, False]),
    store_permanently=st.sampled_from([True, True, False]),
)
# What an id promises holds for stored events, so these are never ephemeral.
_wishes_with_id = st.builds(
    _Wish,
    type=st.integers(0, 1),
    data=st.integers(0, 1),
    second=st.integers(0, 9),
    stream=st.sampled_from([_SITE, _RUN]),
    id=st.integers(0, 5),
    make_current=st.booleans(),
    store_permanently=st.just(True),  # noqa: FBT003
)
_wishes_for_others = st.builds(evolve, _wishes, stream=st.just(_OTHER))
_batches = st.lists(st.one_of(_wishes, _wishes, _wishes_with_id), max_size=5)
_refused_batches = st.tuples(_batches, _wishes_for_others, _batches).map(
    lambda parts: [*parts[0], parts[1], *parts[2]]
)
_maybe_second = st.one_of(st.none(), st.integers(0, 10))


class StorageMachine(RuleBasedStateMachine):
    """
    Calls a storage and the model alike, and compares what they answer.

    Seqs are compared by their order: the storage may leave gaps. All names carry a number of their
    own, so that what earlier sequences left in the same place is not looked at.
    """

    open_storage_here: ClassVar[OpenStorage]

    def __init__(self) -> None:
        super().__init__()
        self._name = f"m{next(_places)}-"
        self._model = MemoryStorage()
        self._storage = self.open_storage_here()  # type: ignore[misc]
        left = self._storage.active_run()
        if left is not None:
            self._storage.finish_run(left.stopped(format_ts(next(_seconds) * NS), status="lost"))
        self._base = max(self._storage.wait(0, 0), self._storage.current().as_of_seq)
        self._model_seqs: dict[int, int] = {}
        self._reopened_at = 0

    @rule(batch=st.one_of(_batches, _batches, _refused_batches))
    def append(self, batch: list[_Wish]) -> None:
        answers = [
            _outcome(lambda storage=storage: append(storage, *map(self._draft, batch)))  # type: ignore[misc]
            for storage in (self._model, self._storage)
        ]
        wanted, found = answers
        if wanted is None or found is None:
            assert found == wanted, f"{batch!r} was {_kept(found)}, expected: {_kept(wanted)}"
            return
        self._model_seqs.update(
            {event.seq: model.seq for model, event in zip(wanted, found, strict=True)}
        )
        assert self._seen(found) == [_fields(event) for event in wanted]
        assert [one.is_duplicate for one in found] == [one.is_duplicate for one in wanted]

    @rule(number=st.integers(0, 2), meta=st.dictionaries(st.sampled_from("ab"), _values))
    def start_run(self, number: int, meta: dict[str, Any]) -> None:
        run = make_run(f"{self._name}{number}", started_at=format_ts(next(_seconds) * NS), **meta)
        wanted, found = (
            _outcome(lambda storage=storage: storage.start_run(run))  # type: ignore[misc]
            for storage in (self._model, self._storage)
        )
        self._assert_same_run(wanted, found)

    @rule(number=st.integers(0, 2), status=st.sampled_from(["completed", "failed", "lost"]))
    def finish_run(self, number: int, status: str) -> None:
        at = format_ts(next(_seconds) * NS)
        run = make_run(f"{self._name}{number}").stopped(at, status=status, reason=status)
        wanted, found = (
            _outcome(lambda storage=storage: storage.finish_run(run))  # type: ignore[misc]
            for storage in (self._model, self._storage)
        )
        self._assert_same_run(wanted, found)

    @precondition(lambda self: self._storage.capabilities.durable)
    @rule()
    def reopen(self) -> None:
        self._storage.close()
        self._storage = self.open_storage_here()  # type: ignore[misc]
        self._reopened_at = self._model.current().as_of_seq

    @rule(
        stream=st.sampled_from([None, None, _SITE, 0, 1, 2]),
        types=st.sets(st.integers(0, 2)),
        since=_maybe_second,
        until=_maybe_second,
        after=st.floats(0, 1),
        end=st.sampled_from(["", "", "limit", "last"]),
        count=st.integers(0, 6),
    )
    def read(
        self,
        stream: str | int | None,
        types: set[int],
        since: int | None,
        until: int | None,
        after: float,
        end: str,
        count: int,
    ) -> None:
        seqs = [self._base, *self._model_seqs]
        seq = seqs[min(int(after * len(seqs)), len(seqs) - 1)]
        selection = Selection(
            stream="site" if stream == _SITE else None,
            run=f"{self._name}{stream}" if isinstance(stream, int) else None,
            types=[self._type(number) for number in sorted(types)],
            since=None if since is None else _ts(since),
            until=None if until is None else _ts(until),
            after=seq,
            limit=count if end == "limit" else None,
            last=count if end == "last" else None,
        )
        wanted = self._model.read(evolve(selection, after=self._model_seqs.get(seq, 0)))
        assert self._seen(self._storage.read(selection)) == [_fields(event) for event in wanted], (
            f"{selection!r} yields something else"
        )

    @rule()
    def look(self) -> None:
        current = self._storage.current()
        mine = [event for type_, event in current.items() if type_.startswith(self._name)]
        wanted = self._expected_current()
        found = self._seen(mine)
        # Whether an ephemeral value outlives a reopen is not promised.
        forgettable = {
            event.type
            for event in self._model.current().values()
            if not event.store_permanently and event.seq <= self._reopened_at
        }
        assert [one for one in found if one[2] not in forgettable] == [
            one for one in wanted if one[2] not in forgettable
        ]
        self._assert_same_run(self._model.active_run(), self._storage.active_run())
        mine_too = [run for run in self._storage.runs() if run.run_id.startswith(self._name)]
        for model, run in itertools.zip_longest(self._model.runs(), mine_too):
            self._assert_same_run(model, run)
        last = self._storage.wait(0, 0)
        assert self._model_seqs.get(last, 0) == self._model.wait(0, 0)

    def teardown(self) -> None:
        try:
            self.look()
        finally:
            self._storage.close()

    def _expected_current(self) -> list[tuple[Any, ...]]:
        keeps_ephemeral = self._storage.capabilities.keeps_ephemeral
        snapshot = self._model.current() if keeps_ephemeral else Storage.current(self._model)
        return [_fields(event) for event in snapshot.values()]

    def _type(self, number: int) -> str:
        return f"{self._name}t{number}"

    def _draft(self, wish: _Wish) -> CheckedDraft:
        active = self._model.active_run()
        run_id = None
        if wish.stream == _RUN and active is not None:
            run_id = active.run_id
        elif wish.stream == _OTHER:
            run_id = f"{self._name}never"
        return make_draft(
            self._type(wish.type),
            wish.data,
            ts=_ts(wish.second),
            run_id=run_id,
            id=None if wish.id is None else f"{self._name}id{wish.id}",
            make_current=wish.make_current,
            store_permanently=wish.store_permanently,
        )

    def _seen(self, events: Any) -> list[tuple[Any, ...]]:
        return [_fields(event, self._model_seqs) for event in events]

    def _assert_same_run(self, wanted: Run | None, found: Run | None) -> None:
        if wanted is None or found is None:
            assert found == wanted, f"{_kept(found)}, expected: {_kept(wanted)}"
            return
        as_model = evolve(
            found,
            first_seq=self._model_seqs.get(found.first_seq or 0),
            last_seq=self._model_seqs.get(found.last_seq or 0),
            directory=wanted.directory,
        )
        assert as_model == wanted


def _outcome(call: Callable[[], Any]) -> Any:
    """Return what *call* returns, or `None` when it is refused."""
    try:
        return call()
    except (NoActiveRunError, IdConflictError, RunActiveError):
        return None


def _kept(answer: object) -> str:
    return "refused" if answer is None else f"taken: {answer!r}"


def _ts(second: int) -> str:
    return format_ts((_START_S + second) * NS)


def _fields(event: Event, seqs: dict[int, int] | None = None) -> tuple[Any, ...]:
    seq = event.seq if seqs is None else seqs.get(event.seq)
    return seq, event.ts, event.type, event.data, event.meta, event.id, event.make_current
