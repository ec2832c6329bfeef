"""
What is recorded: a `Draft` goes in, an `Event` comes out.

The JSON text of `data` and `meta` is made once, when a draft is checked, and travels with it to
every storage; the Python value is made from the text when somebody asks for it. So what a reader
gets never changes when the writer's own dictionary does.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson
from attrs import define, field, frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

EMPTY_META = b"{}"


@frozen
class Draft:
    """
    An event as its writer gives it, not yet checked.

    `ts` is RFC 3339 or an aware datetime, stamped on arrival when missing. `stream` is `"site"` or
    `None` for the usual way. An `id` makes a retry safe: the same id is stored once.
    """

    type: str
    data: Any
    ts: str | datetime | None = field(default=None, kw_only=True)
    meta: Mapping[str, Any] | None = field(default=None, kw_only=True)
    make_current: bool = field(default=True, kw_only=True)
    store_permanently: bool = field(default=True, kw_only=True)
    stream: str | None = field(default=None, kw_only=True)
    id: str | None = field(default=None, kw_only=True)


class _JSONBacked:
    """
    Keeps `data` and `meta` as JSON text.

    The slots of all that derive from it stand here, so that one turns into another in half the
    time: Python need not compare them first.
    """

    __slots__ = (
        *("seq", "ts", "type", "data", "meta", "id", "run_id"),
        *("make_current", "store_permanently", "is_duplicate"),
        *("_data_json", "_meta_json", "_to_site"),
    )

    _data_json: bytes
    _meta_json: bytes
    _to_site: bool

    @property
    def data_json(self) -> bytes:
        """`data` as JSON text in UTF-8, without a line break."""
        try:
            return self._data_json
        except AttributeError:
            _set_attribute(self, "_data_json", orjson.dumps(self.data))  # type: ignore[attr-defined]
            return self._data_json

    @property
    def meta_json(self) -> bytes:
        """`meta` as the JSON text of an object in UTF-8, without a line break."""
        try:
            return self._meta_json
        except AttributeError:
            _set_attribute(self, "_meta_json", orjson.dumps(self.meta))  # type: ignore[attr-defined]
            return self._meta_json


_set_attribute = object.__setattr__


class _OnDemand:
    """
    A slot that is filled when it is first read.

    It stands in the place of the slot's own descriptor. A `__getattr__` would do the same, and
    make every other attribute of the class four times as slow to read.
    """

    def __init__(self, slot: Any, make: Callable[[Any], Any]) -> None:
        self._slot = slot
        self._make = make

    def __get__(self, one: Any, owner: type) -> Any:
        if one is None:
            return self
        try:
            return self._slot.__get__(one, owner)
        except AttributeError:
            value = self._make(one)
            self._slot.__set__(one, value)
            return value

    def __set__(self, one: Any, value: Any) -> None:
        self._slot.__set__(one, value)


@frozen(slots=True, weakref_slot=False)
class Event(_JSONBacked):
    """
    One typed record, as it was stored.

    `seq` is the number the site gave it, `ts` when it happened (RFC 3339, UTC), `data` any JSON
    value. `make_current` and `store_permanently` say what the writer asked for; `id` is the
    writer's own name for it. `is_duplicate` stands on the answer to a retry: the event had been
    stored before. `run_id` is the run whose stream holds it, `None` for the site stream.
    """

    seq: int
    ts: str
    type: str
    data: Any
    meta: Mapping[str, Any] = field(factory=dict)
    id: str | None = None
    make_current: bool = True
    store_permanently: bool = True
    is_duplicate: bool = field(default=False, eq=False, repr=False)
    run_id: str | None = field(init=False, eq=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return make_event, (
            self.seq,
            self.ts,
            self.type,
            self.data_json,
            self.meta_json,
            self.id,
            self.make_current,
            self.store_permanently,
            self.is_duplicate,
        )


class _BlankEvent(_JSONBacked):
    """
    An event being filled, of the same layout as `Event`.

    Filling a blank and then giving it the frozen class costs half of what the frozen class's own
    `__init__` does, and this happens for every event.
    """

    __slots__ = ()


@define(slots=True, weakref_slot=False, eq=False)
class CheckedDraft(_JSONBacked):
    """
    A draft that every storage can keep: checked, stamped and routed; only the seq is missing.

    It has what the `Event` will have, with `data_json` and `meta_json` as JSON text. `run_id` names
    the run whose stream it goes to, `None` means the site stream; `meta` carries the same `run_id`.
    """

    ts: str
    type: str
    data: Any
    meta: Mapping[str, Any]
    run_id: str | None = None
    id: str | None = None
    make_current: bool = True
    store_permanently: bool = True
    is_duplicate: bool = field(default=False, init=False, repr=False)
    seq: int = field(default=0, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        _set_attribute(self, "_data_json", orjson.dumps(self.data))
        _set_attribute(self, "_meta_json", orjson.dumps(self.meta))
        _set_attribute(self, "_to_site", True)  # noqa: FBT003

    def __reduce__(self) -> tuple[Any, ...]:
        return make_checked_draft, (
            self.ts,
            self.type,
            self._data_json,
            self._meta_json,
            self.run_id,
            self.id,
            self.make_current,
            self.store_permanently,
            self.assumes_no_run,
        )

    @property
    def assumes_no_run(self) -> bool:
        """
        Whether it goes to the site only because its recorder knows of no active run.

        Where others may start runs too, the storage looks whether this is still true.
        """
        return self.run_id is None and not self._to_site

    def recorded(self, seq: int) -> Event:
        """Return the event that this draft is under the number *seq*; the draft stays as it is."""
        return make_event(
            seq,
            self.ts,
            self.type,
            self._data_json,
            self._meta_json,
            self.id,
            self.make_current,
            self.store_permanently,
        )

    def become(self, seq: int) -> Event:
        """
        Turn this very object into the event it is under the number *seq*, and return it.

        For a storage that is called very often: it saves the second object. To be called when
        nothing can be refused any more, because the draft is gone.
        """
        self.seq = seq
        self.__class__ = Event  # type: ignore[assignment]
        return self  # type: ignore[return-value]


def _fill_on_demand(kind: type, **slots: Callable[[Any], Any]) -> None:
    for name, make in slots.items():
        setattr(kind, name, _OnDemand(kind.__dict__[name], make))


def _decode_data(one: Any) -> Any:
    text = one._data_json  # noqa: SLF001
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # A number beyond a double, from a file that was damaged: one is read as infinite.
        return json.loads(text)


def _decode_meta(one: Any) -> Any:
    return orjson.loads(one._meta_json)  # noqa: SLF001


_fill_on_demand(
    Event,
    data=_decode_data,
    meta=_decode_meta,
    run_id=lambda one: one.meta.get("run_id"),
    is_duplicate=lambda _: False,
)
_fill_on_demand(CheckedDraft, data=_decode_data, meta=_decode_meta)


blank_draft: Any = CheckedDraft.__new__
"""Return a draft with nothing in it, given the class: for who fills every slot."""


def make_event(  # noqa: PLR0917
    seq: int,
    ts: str,
    type: str,  # noqa: A002
    data_json: bytes,
    meta_json: bytes = EMPTY_META,
    id: str | None = None,  # noqa: A002
    make_current: bool = True,  # noqa: FBT001, FBT002
    store_permanently: bool = True,  # noqa: FBT001, FBT002
    is_duplicate: bool = False,  # noqa: FBT001, FBT002
) -> Event:
    """Return an event from the JSON text of its data and meta, which are decoded on demand."""
    event: Any = _BlankEvent()
    event.seq = seq
    event.ts = ts
    event.type = type
    event._data_json = data_json  # noqa: SLF001
    event._meta_json = meta_json  # noqa: SLF001
    event.id = id
    event.make_current = make_current
    event.store_permanently = store_permanently
    if is_duplicate:
        event.is_duplicate = True
    event.__class__ = Event
    return event  # type: ignore[no-any-return]


def make_checked_draft(  # noqa: PLR0917
    ts: str,
    type: str,  # noqa: A002
    data_json: bytes,
    meta_json: bytes = EMPTY_META,
    run_id: str | None = None,
    id: str | None = None,  # noqa: A002
    make_current: bool = True,  # noqa: FBT001, FBT002
    store_permanently: bool = True,  # noqa: FBT001, FBT002
    assumes_no_run: bool = False,  # noqa: FBT001, FBT002
) -> CheckedDraft:
    """Return a checked draft from the JSON text of its data and meta."""
    draft: Any = blank_draft(CheckedDraft)
    draft.ts = ts
    draft.type = type
    draft._data_json = data_json  # noqa: SLF001
    draft._meta_json = meta_json  # noqa: SLF001
    draft.run_id = run_id
    draft.id = id
    draft.make_current = make_current
    draft.store_permanently = store_permanently
    draft._to_site = not assumes_no_run  # noqa: SLF001
    return draft  # type: ignore[no-any-return]


def copy_of(event: Event, *, is_duplicate: bool = False) -> Event:
    """Return an event equal to *event* that shares no mutable value with it."""
    return make_event(
        event.seq,
        event.ts,
        event.type,
        event.data_json,
        event.meta_json,
        event.id,
        event.make_current,
        event.store_permanently,
        is_duplicate,
    )
