"""
What is recorded: a `Draft` goes in, an `Event` comes out.

The JSON text of `data` and `meta` is made once, when a draft is checked, and travels with it to
every storage; the Python value is made from the text when somebody asks for it. So what a reader
gets never changes when the writer's own dictionary does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping
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
    """Keeps `data` and `meta` as JSON text and decodes them when they are first read."""

    __slots__ = ("_data_json", "_meta_json")

    def __getattr__(self, name: str) -> Any:
        # Only called while the slot is empty: the value was not decoded yet.
        if name == "data":
            value = orjson.loads(self._data_json)
        elif name == "meta":
            value = orjson.loads(self._meta_json)
        elif name == "_data_json":
            value = orjson.dumps(self.data)
        elif name == "_meta_json":
            value = orjson.dumps(self.meta)
        elif name == "run_id":
            value = self.meta.get("run_id")
        elif name == "seq":
            return 0
        else:
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(message)
        object.__setattr__(self, name, value)
        return value

    @property
    def data_json(self) -> bytes:
        """`data` as JSON text in UTF-8, without a line break."""
        return self._data_json  # type: ignore[no-any-return]

    @property
    def meta_json(self) -> bytes:
        """`meta` as the JSON text of an object in UTF-8, without a line break."""
        return self._meta_json  # type: ignore[no-any-return]


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


@frozen(slots=True, weakref_slot=False)
class CheckedDraft(_JSONBacked):
    """
    A draft that every storage can keep: checked, stamped and routed; only the seq is missing.

    `run_id` names the run whose stream it goes to, `None` means the site stream; `meta` carries
    the same `run_id`. `data_json` and `meta_json` are its JSON text;
    `seq` is 0 until it is recorded.
    """

    ts: str
    type: str
    data: Any
    meta: Mapping[str, Any]
    run_id: str | None = None
    id: str | None = None
    make_current: bool = True
    store_permanently: bool = True
    is_duplicate: bool = field(default=False, init=False, eq=False, repr=False)
    seq: int = field(init=False, eq=False, repr=False)

    def recorded(self, seq: int) -> Event:
        """Return the event that this draft is under the number *seq*."""
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

        Saves a storage that is called very often from making a second object; the draft is gone.
        """
        _set_seq(self, seq)
        _set_attribute(self, "__class__", Event)
        return self  # type: ignore[return-value]


def _blank_of(frozen_class: type) -> type:
    """
    Return a mutable class of the same layout as *frozen_class*.

    Filling a blank and then giving it the frozen class costs half of what the frozen class's own
    `__init__` does, and this happens for every event recorded.
    """
    return type(frozen_class.__name__, (_JSONBacked,), {"__slots__": frozen_class.__slots__})  # type: ignore[attr-defined]


_BlankEvent: Any = _blank_of(Event)
_BlankDraft: Any = _blank_of(CheckedDraft)
_set_seq: Any = CheckedDraft.__dict__["seq"].__set__
_set_attribute = object.__setattr__


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
    event = _BlankEvent()
    event.seq = seq
    event.ts = ts
    event.type = type
    event._data_json = data_json  # noqa: SLF001
    event._meta_json = meta_json  # noqa: SLF001
    event.id = id
    event.make_current = make_current
    event.store_permanently = store_permanently
    event.is_duplicate = is_duplicate
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
) -> CheckedDraft:
    """Return a checked draft from the JSON text of its data and meta."""
    draft = _BlankDraft()
    draft.ts = ts
    draft.type = type
    draft._data_json = data_json  # noqa: SLF001
    draft._meta_json = meta_json  # noqa: SLF001
    draft.run_id = run_id
    draft.id = id
    draft.make_current = make_current
    draft.store_permanently = store_permanently
    draft.is_duplicate = False
    draft.__class__ = CheckedDraft
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
