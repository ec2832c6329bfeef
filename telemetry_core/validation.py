"""What may be recorded: everything that every storage can keep and every reader can read back."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import orjson

from telemetry_core.blocks import DraftBlock
from telemetry_core.clock import parse_ts, ts_of
from telemetry_core.codec import MAX_DEPTH, read_json
from telemetry_core.errors import InvalidEventError, Problem
from telemetry_core.events import EMPTY_META, CheckedDraft, blank_draft

if TYPE_CHECKING:
    import cattrs

    from telemetry_core.events import Draft

MAX_NAME = 128
_KNOWN_TYPES_KEPT = 10_000
_DEEP = 2 * MAX_DEPTH
_GROWN = 8  # `9e15` becomes 9000000000000000.0, and nothing grows more
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_MILLIS = frozenset(f"{ms:03d}" for ms in range(1000))
_ENDS = frozenset(f"{ms:03d}Z" for ms in range(1000))
_second_of, _end_of = itemgetter(slice(0, 20)), itemgetter(slice(20, None))
_dumps = orjson.dumps


class _Types(dict[str, str]):
    """The types seen, as plain strings also where they came as members of a `StrEnum`."""

    def __missing__(self, type: str) -> str:  # noqa: A002
        _check_name(type, "type")
        plain = str.__str__(type)
        if len(self) < _KNOWN_TYPES_KEPT:
            self[plain] = plain
        return plain


class Checker:
    """
    Refuses what could not be stored and read back, before anything is written.

    With `strict`, NaN and infinities are refused; without, they become null and are counted in
    `nulled`. May be used by several threads.
    """

    def __init__(
        self, converter: cattrs.Converter, *, max_event_bytes: int, strict: bool = False
    ) -> None:
        self.nulled = 0
        self._strict = strict
        self._max_event_bytes = max_event_bytes
        self._unstructure = converter.unstructure
        self._default = self._to_plain
        self._types = _Types()
        self._second = ""

    def check_draft(self, draft: Draft) -> CheckedDraft:
        """Check a *draft*; the rest is as for `check`."""
        return self.check(
            draft.type,
            draft.data,
            draft.ts,
            draft.meta,
            draft.make_current,
            draft.store_permanently,
            draft.stream,
            draft.id,
        )

    def check(  # noqa: PLR0917
        self,
        type: str,  # noqa: A002
        data: Any,
        ts: str | datetime | None,
        meta: Mapping[str, Any] | None,
        make_current: bool,  # noqa: FBT001
        store_permanently: bool,  # noqa: FBT001
        stream: str | None,
        id: str | None,  # noqa: A002
    ) -> CheckedDraft:
        """
        Return what was given as a draft that can be kept, with `ts` still `None` if none was given.

        Raises:
            InvalidEventError: It cannot be kept.
        """
        try:
            name = self._types[type]
        except TypeError:  # it cannot even be looked up
            raise _not_a_name(type, "type") from None
        try:
            data_json = _dumps(data, self._default)
        except TypeError as error:
            data_json = self._encode_odd(data, "$.data", error)
        size = len(data_json)
        nulled = 0
        if (
            size > self._max_event_bytes
            # A text of fewer bytes cannot nest too deep: each level takes two.
            or (size > _DEEP and _nests(data_json))
            or data_json.rfind(b"null") >= 0  # from the end: measured twice as quick as `in`
            or data_json.find(b"\\") >= 0
        ):
            nulled = self._look_closer(data, data_json, "$.data")
        draft: Any = blank_draft(CheckedDraft)
        draft.type = name
        draft._data_json = data_json  # noqa: SLF001
        if meta is None:
            draft._meta_json = EMPTY_META  # noqa: SLF001
        else:
            draft._meta_json, more = self._meta_json(meta, size)  # noqa: SLF001
            nulled += more
        draft.ts = ts if ts is None else self._check_ts(ts)
        draft._to_site = stream is not None  # noqa: SLF001
        if stream is not None and stream != "site":
            raise _invalid("$.stream", f"{stream!r:.100} is no stream; use 'site' or leave it out")
        if id is not None:
            _check_name(id, "id")
        draft.id = id
        if make_current is not True or store_permanently is not True:
            _check_flag(make_current, "make_current")
            _check_flag(store_permanently, "store_permanently")
        draft.make_current = make_current
        draft.store_permanently = store_permanently
        if nulled:
            self.nulled += nulled
        return draft  # type: ignore[no-any-return]

    def check_block(
        self,
        texts: Sequence[bytes],
        types: Sequence[str],
        data: Sequence[Any],
        ts: Sequence[str | None],
    ) -> DraftBlock | None:
        """
        Return what was given side by side as one block, if all of it can be kept as it is.

        It was read from *texts*, which have no escapes. `None` says that each has to be looked at
        alone.
        """
        for type_ in set(types):
            self._types[type_]
        longest = max(map(len, texts))
        if longest * _GROWN > self._max_event_bytes:
            return None
        if longest > _DEEP and any(map(_nests_inside, texts)):
            return None
        given = [one for one in ts if one is not None]
        if not _ENDS.issuperset(map(_end_of, given)):
            return None
        for second in set(map(_second_of, given)):
            whole = f"{second}000Z"
            if self._check_ts(whole) != whole:
                return None
        return DraftBlock(types, data, ts)

    def encode(self, value: Any, path: str) -> bytes:
        """
        Return *value* as JSON text that every reader can read back.

        Raises:
            InvalidEventError: It has none; the problem's path begins with *path*.
        """
        text, nulled = self._encode(value, path)
        self.nulled += nulled
        return text

    def _encode(self, value: Any, path: str) -> tuple[bytes, int]:
        """Return *value* as JSON text, and how many numbers in it became null."""
        try:
            text = _dumps(value, self._default)
        except TypeError as error:
            text = self._encode_odd(value, path, error)
        return text, self._look_closer(value, text, path)

    def _look_closer(self, value: Any, text: bytes, path: str) -> int:
        """Refuse what not every storage could keep; return how many numbers became null."""
        size = len(text)
        if size > self._max_event_bytes:
            raise _invalid(path, f"{size} bytes of JSON; at most {self._max_event_bytes} are kept")
        if _nests(text):
            _check_depth(orjson.loads(text), path)
        if _NUL.search(text):
            raise _invalid(path, "the character NUL stands in it, which not every storage keeps")
        return self._count_nulled(value, path) if b"null" in text else 0

    def _to_plain(self, value: Any) -> Any:
        plain = self._unstructure(value)
        if plain is value:
            raise TypeError
        return plain

    def _encode_odd(self, value: Any, path: str, error: TypeError) -> bytes:
        """Encode what orjson refused at once: keys that are no strings are made ones."""
        try:
            text = orjson.dumps(value, self._default, orjson.OPT_NON_STR_KEYS)
        except TypeError:
            _check_depth(value, path)
            raise _find_problem(value, path, self._default, error) from None
        try:
            read_json(text)
        except InvalidEventError:
            raise _invalid(path, "two keys are the same as JSON text") from None
        return text

    def _count_nulled(self, value: Any, path: str) -> int:
        found = _not_finite(value, path, self._default)
        if found and self._strict:
            raise _invalid(found[0], "NaN and infinities are not JSON; use None")
        return len(found)

    def _check_ts(self, ts: str | datetime) -> str:
        # Times come in one form and one after the other: that of a second looked at before, with
        # other milliseconds, is known to be right.
        if (
            ts.__class__ is str
            and ts[:20] == self._second
            and ts[20:23] in _MILLIS
            and ts[23:] == "Z"
        ):
            return ts
        canonical = _canonical_ts(ts)
        self._second = canonical[:20]
        return canonical

    def check_meta(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return *meta* as plain JSON values, if it is an object.

        Raises:
            InvalidEventError: It is not.
        """
        text, nulled = self._encode_meta(meta)
        self.nulled += nulled
        return orjson.loads(text)  # type: ignore[no-any-return]

    def _encode_meta(self, meta: Mapping[str, Any]) -> tuple[bytes, int]:
        if not isinstance(meta, Mapping):
            raise _invalid("$.meta", f"must be an object, not {meta!r:.100}")
        return self._encode(dict(meta), "$.meta")

    def _meta_json(self, meta: Mapping[str, Any], data_bytes: int) -> tuple[bytes, int]:
        """Return *meta* as JSON text, if there is room for it beside the data, and the nulled."""
        text, nulled = self._encode_meta(meta)
        if text == EMPTY_META:
            return EMPTY_META, nulled
        if data_bytes + len(text) > self._max_event_bytes:
            raise _invalid("$", f"data and meta exceed {self._max_event_bytes} bytes of JSON")
        if b'"run_id"' not in text:
            return text, nulled
        # The run's id is ours to say: a writer's own would let an event pretend to belong to a run.
        kept = orjson.loads(text)
        kept.pop("run_id", None)
        return orjson.dumps(kept), nulled


def _nests(text: bytes) -> bool:
    """Whether JSON *text* may nest too deep; it surely does not when this is false."""
    # Most values hold no list or object inside of them, which is quicker to see than to count.
    is_flat = text.find(b"{", 1) < 0 and text.find(b"[", 1) < 0
    return not is_flat and _may_nest(text)


def _nests_inside(text: bytes) -> bool:
    """Whether an event in the JSON *text* may nest too deep: as `_nests`, one object further in."""
    data = text.find(b"{", 1)
    is_flat = text.find(b"[") < 0 and text.find(b"{", data + 1) < 0
    return not is_flat and _may_nest(text)


def _may_nest(text: bytes) -> bool:
    return text.count(b"[") + text.count(b"{") > MAX_DEPTH


def _invalid(path: str, message: str) -> InvalidEventError:
    return InvalidEventError([Problem(path, message)])


def _check_name(name: object, field: str) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise _not_a_name(name, field)


def _not_a_name(name: object, field: str) -> InvalidEventError:
    message = f"{name!r:.200} is no {field}: 1-{MAX_NAME} printable characters are"
    return _invalid(f"$.{field}", message)


def _check_flag(flag: object, field: str) -> None:
    if not isinstance(flag, bool):
        raise _invalid(f"$.{field}", f"must be true or false, not {flag!r:.100}")


def _canonical_ts(ts: str | datetime) -> str:
    try:
        if isinstance(ts, datetime):
            ts = ts_of(ts)
        if not isinstance(ts, str):
            raise _invalid("$.ts", f"{ts!r:.100} is no time: give RFC 3339 text or a datetime")
        return parse_ts(ts)[0]
    except ValueError as error:
        if isinstance(error, InvalidEventError):
            raise
        raise _invalid("$.ts", str(error)) from None


def _check_depth(value: Any, path: str) -> None:
    """Refuse lists and objects in more than `MAX_DEPTH` levels, the outermost included."""
    inside = [value]
    for _ in range(MAX_DEPTH + 1):
        # Each once, though it may stand in several places, or in itself.
        containers = {id(one): one for one in inside if isinstance(one, dict | list | tuple)}
        if not containers:
            return
        inside = [
            child
            for one in containers.values()
            for child in (one.values() if isinstance(one, dict) else one)
        ]
    raise _invalid(path, f"nested deeper than {MAX_DEPTH} levels")


def _not_finite(value: Any, path: str, default: Callable[[Any], Any]) -> list[str]:
    """Return the paths of all floats in *value* that JSON cannot express."""
    if isinstance(value, float):
        return [] if math.isfinite(value) else [path]
    if value is None or isinstance(value, (str, int)):
        return []
    if isinstance(value, Mapping):
        children = [(f"{path}.{key}", child) for key, child in value.items()]
    elif isinstance(value, (list, tuple)):
        children = [(f"{path}[{index}]", child) for index, child in enumerate(value)]
    else:
        try:
            children = [(path, default(value))]
        except TypeError:
            return []
    return [found for name, child in children for found in _not_finite(child, name, default)]


def _find_problem(
    value: Any, path: str, default: Callable[[Any], Any], error: TypeError
) -> InvalidEventError:
    """Return the error that names the innermost part of *value* that JSON cannot express."""
    if isinstance(value, Mapping):
        children = [(f"{path}.{key}", child) for key, child in value.items()]
    elif isinstance(value, (list, tuple)):
        children = [(f"{path}[{index}]", child) for index, child in enumerate(value)]
    else:
        children = []
    try:
        for name, child in children:
            try:
                orjson.dumps(child, default, orjson.OPT_NON_STR_KEYS)
            except TypeError as inner:
                return _find_problem(child, name, default, inner)
    except RecursionError:
        pass
    # A converter's own message is the cause of what orjson says of it.
    reason = str(error.__cause__ or "") or str(error) or f"no JSON for {type(value).__name__}"
    return _invalid(path, f"{reason}; got {type(value).__name__} {reprlib.repr(value):.80}")
