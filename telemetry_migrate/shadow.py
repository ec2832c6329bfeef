"""Shadow mode: the old PanDB answers, the new one does the same beside it, both are compared."""

from __future__ import annotations

import contextlib
import copy
import queue
import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, Self

import orjson
from attrs import asdict, field, frozen

_MAX_DIFFERENCES: Final = 100
_MAX_IDS: Final = 10_000
_SHOWN: Final = 500
_END: Final = None


class PanDBLike(Protocol):
    """The five calls of PanDB; `TelemetryClient` and `telemetry_core.pandb.PanDB` have them."""

    def insert_current(
        self,
        collection: str,
        obj: Any,
        store_permanently: bool = ...,  # noqa: FBT001  # PanDB's signature
        /,
    ) -> Any:
        """Make *obj* the current record and keep it."""

    def insert(self, collection: str, obj: Any, /) -> Any:
        """Keep *obj*."""

    def get_current(self, collection: str, /) -> Any:
        """Return the current record."""

    def find(self, collection: str, obj_id: str, /) -> Any:
        """Return the record of that id."""

    def clear_current(self, type: str, /) -> Any:  # noqa: A002
        """Forget the current record."""


@frozen
class Difference:
    """One call that the two answered differently; the answers are shortened text."""

    call: str
    collection: str
    old: str
    new: str


@frozen(kw_only=True)
class ShadowReport:
    """
    What a shadow saw so far.

    `calls` counts each call of the program and `compared` the answers that were compared: of
    these, `different` were not the same, of which the first hundred stand in `differences`.
    `errors` counts what only the new one raised; those are among the different. `missed` calls
    never reached it, because it was too slow.
    """

    calls: Mapping[str, int] = field(factory=dict)
    compared: int = 0
    different: int = 0
    errors: int = 0
    missed: int = 0
    differences: tuple[Difference, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether everything was compared and nothing differed: a site can switch."""
        return bool(self.compared) and not self.different and not self.missed

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {**asdict(self), "is_same": self.is_same}


class ShadowPanDB:
    """
    A PanDB whose calls also go to a new one, to see whether that answers the same.

        db = ShadowPanDB(PanDB(db_type="file"), TelemetryClient())
        …
        print(db.report())

    Every call is answered by *old*, its errors included, and everything else it has can be reached
    too. *new* is called afterwards in a thread of its own, in the same order for each collection:
    it can be slow, raise or hang, and nobody notices but the report. At most *max_pending* calls
    wait for it, what comes then is missed.

    Ids are not compared, since each gives its own, nor is the time of a record, which each stamps
    itself.
    """

    def __init__(self, old: PanDBLike, new: PanDBLike, *, max_pending: int = 10_000) -> None:
        self._old = old
        self._new = new
        self._pending: queue.Queue[Callable[[], None] | None] = queue.Queue(max_pending)
        self._counting = threading.Lock()
        self._in_order: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
        self._calls: Counter[str] = Counter()
        self._compared = self._different = self._errors = self._missed = 0
        self._differences: list[Difference] = []
        self._new_ids: OrderedDict[str, str] = OrderedDict()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="telemetry-shadow", daemon=True)
        self._thread.start()

    def __getattr__(self, name: str) -> Any:
        # Whatever else the program uses of its PanDB, once there is one.
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self._old, name)

    def insert_current(
        self,
        collection: str,
        obj: Any,
        store_permanently: bool = True,  # noqa: FBT001, FBT002  # PanDB's signature
    ) -> Any:
        """Do it in both; return what the old one returns."""
        return self._both("insert_current", collection, obj, store_permanently)

    def insert(self, collection: str, obj: Any) -> Any:
        """Do it in both; return what the old one returns."""
        return self._both("insert", collection, obj)

    def get_current(self, collection: str) -> Any:
        """Return the old one's record, and compare it with the new one's."""
        return self._both("get_current", collection)

    def find(self, collection: str, obj_id: str) -> Any:
        """Return the old one's record, and compare it if it was inserted through this object."""
        return self._both("find", collection, obj_id)

    def clear_current(self, type: str) -> Any:  # noqa: A002
        """Do it in both; return what the old one returns."""
        return self._both("clear_current", type)

    def report(self) -> ShadowReport:
        """Return what was seen so far; `settle` first to have all of it."""
        with self._counting:
            return ShadowReport(
                calls=dict(self._calls),
                compared=self._compared,
                different=self._different,
                errors=self._errors,
                missed=self._missed,
                differences=tuple(self._differences),
            )

    def settle(self, timeout: float = 10.0) -> bool:
        """Wait until the new one has done all so far; return whether it did within *timeout*."""
        settled = threading.Event()
        try:
            self._pending.put(settled.set, timeout=timeout)
        except queue.Full:
            return False
        return settled.wait(timeout)

    def close(self, timeout: float = 10.0) -> ShadowReport:
        """Let the new one finish, for at most *timeout* seconds, and return the report."""
        if not self._is_closed:
            self.settle(timeout)
            self._is_closed = True
            # If it hangs, its thread ends with the process.
            with contextlib.suppress(queue.Full):
                self._pending.put_nowait(_END)
        return self.report()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _both(self, call: str, collection: str, *rest: Any) -> Any:
        given = _copy_of(rest)
        # Held for the order only: the old one's call, then its place in the queue.
        with self._in_order[collection]:
            try:
                answer = getattr(self._old, call)(collection, *rest)
            except Exception as error:
                self._enqueue(call, collection, given, error)
                raise
            self._enqueue(call, collection, given, answer)
        return answer

    def _enqueue(self, call: str, collection: str, given: tuple[Any, ...], old: Any) -> None:
        kept = _copy_of((old,))[0]
        with self._counting:
            self._calls[call] += 1
        try:
            if self._is_closed:
                raise queue.Full  # noqa: TRY301
            self._pending.put_nowait(lambda: self._compare(call, collection, given, kept))
        except queue.Full:
            with self._counting:
                self._missed += 1

    def _work(self) -> None:
        while (job := self._pending.get()) is not _END:
            job()

    def _compare(self, call: str, collection: str, given: tuple[Any, ...], old: Any) -> None:
        """Call the new one, and count whether it answers as the old one did."""
        if call == "find":
            new_id = self._new_ids.get(str(given[0]))
            if new_id is None:
                return
            given = (new_id,)
        try:
            new = getattr(self._new, call)(collection, *given)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the new one's alone
            new = error
        try:
            if call in ("insert", "insert_current") and isinstance(old, str):
                self._remember(old, new)
            is_same = _is_same(call, old, new)
            difference = Difference(call, collection, _shown(old), _shown(new))
        except Exception as error:  # noqa: BLE001  # an answer that cannot even be looked at
            is_same = False
            difference = Difference(call, collection, "", f"{type(error).__name__}: {error}")
        with self._counting:
            self._compared += 1
            if not is_same:
                self._different += 1
                self._errors += isinstance(new, Exception) and not isinstance(old, Exception)
                if len(self._differences) < _MAX_DIFFERENCES:
                    self._differences.append(difference)

    def _remember(self, old_id: str, new_id: Any) -> None:
        if isinstance(new_id, str):
            self._new_ids[old_id] = new_id
            if len(self._new_ids) > _MAX_IDS:
                self._new_ids.popitem(last=False)


def _copy_of(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return *values* as they are now; the program may change them before the new one looks."""
    try:
        return copy.deepcopy(values)
    except Exception:  # noqa: BLE001  # cannot be copied: the new one gets the thing itself
        return values


def _is_same(call: str, old: Any, new: Any) -> bool:
    if isinstance(old, Exception) or isinstance(new, Exception):
        return isinstance(old, Exception) and isinstance(new, Exception)
    if call in ("get_current", "find"):
        if old is None or new is None:
            return old is new
        return bool(_said(old) == _said(new))
    return (old is None) == (new is None)


def _said(record: Any) -> Any:
    """Return what a record says, as JSON values: its type and data."""
    return orjson.loads(
        orjson.dumps([record["type"], record["data"]], default=str, option=orjson.OPT_NON_STR_KEYS)
    )


def _shown(answer: Any) -> str:
    if isinstance(answer, Exception):
        return f"{type(answer).__name__}: {answer}"[:_SHOWN]
    return repr(answer)[:_SHOWN]
