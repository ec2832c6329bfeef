"""
Taking in events as JSON text, many at once, each judged as if it came alone.

`codec.read_json` and the `Checker` say what may be recorded. msgspec reads many times quicker, and
laxer only where a key stands twice in one object; a text of which that is not sure is read the
careful way, and so is each that seems bad, for the reason. Where all of many texts are plain, they
are read and judged together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson
from attrs import asdict, field, fields, frozen

from telemetry_core.codec import make_converter, problems_of, read_json
from telemetry_core.errors import IdConflictError, InvalidEventError, MalformedJSONError
from telemetry_core.events import Draft

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemetry_core.blocks import DraftBlock
    from telemetry_core.commit import Commit
    from telemetry_core.events import CheckedDraft, Event
    from telemetry_core.validation import Checker


class _Plain(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A draft as most programs write it."""

    type: str
    data: Any
    ts: str | None = None


_decode = msgspec.json.Decoder().decode
_decode_plain = msgspec.json.Decoder(_Plain).decode_lines
_dumps = orjson.dumps
_FEW: Final = 8
_first, _last = itemgetter(0), itemgetter(-1)
_OPENING, _CLOSING = {ord("{")}, {ord("}")}
_DOUBTS: Final = (
    msgspec.DecodeError,
    RecursionError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
)


@frozen
class JSONDraft:
    """An event as its writer gives it in JSON, and what is taken for what is left out."""

    type: str
    data: Any
    make_current: bool = True
    store_permanently: bool = True
    meta: Mapping[str, Any] = field(factory=dict)
    ts: str | None = None
    stream: str | None = None
    id: str | None = None


CheckType = Callable[[str], object]
"""Called with the type of a draft; raises `InvalidEventError` to refuse it."""

_FIELDS = frozenset(one.name for one in fields(JSONDraft))


@frozen
class Rejected:
    """One text that was not recorded: its place among those given, from 0 on, and why."""

    index: int
    detail: str


@frozen
class Report:
    """What became of many texts: the events of those recorded, and the others, in order."""

    events: Sequence[Event] = ()
    rejected: Sequence[Rejected] = ()
    duplicates: int = 0
    """How many of the events had been stored before."""


class Intake:
    """
    Makes checked drafts of JSON texts. May be used by several threads.

    *prepare* is what the plugins make of each draft before it is checked, if there are any.
    """

    def __init__(self, checker: Checker, prepare: Callable[[Draft], Draft] | None) -> None:
        self._checker = checker
        self._check = checker.check
        self._prepare = prepare
        self._structure = make_converter().structure

    def record(
        self,
        texts: Sequence[bytes],
        commit: Commit,
        *,
        durable: bool,
        check_type: CheckType | None,
    ) -> Report:
        """Record the events in *texts* as `Recorder.record_json` says."""
        block = self.read_block(texts, check_type)
        if block is not None:
            return Report(commit.append_block(block, durable=durable))
        places, drafts, rejected = self.read(texts, check_type)
        if not drafts:
            return Report((), tuple(rejected))
        try:
            events = (
                commit.append(drafts, durable=durable)
                if len(drafts) > 1
                else [commit.append_one(drafts[0], durable)]
            )
        except IdConflictError as error:
            if len(drafts) == 1:
                rejected.append(Rejected(places[0], str(error)))
                return Report((), tuple(sorted(rejected, key=lambda one: one.index)))
        else:
            duplicates = sum(event.is_duplicate for event in events)
            return Report(tuple(events), tuple(rejected), duplicates)
        # In two halves, and again, until the one id in conflict is alone.
        middle = places[len(places) // 2]
        first, second = (
            self.record(half, commit, durable=durable, check_type=check_type)
            for half in (texts[:middle], texts[middle:])
        )
        moved = (Rejected(middle + one.index, one.detail) for one in second.rejected)
        return Report(
            (*first.events, *second.events),
            (*first.rejected, *moved),
            first.duplicates + second.duplicates,
        )

    def read_block(self, texts: Sequence[bytes], check_type: CheckType | None) -> DraftBlock | None:
        """Return what *texts* are, if they surely are plain drafts, all of them."""
        count = len(texts)
        if count < _FEW or self._prepare is not None:
            return None
        joined = b"\n".join(texts)
        try:
            # No value of JSON has `}` and `{` side by side: as many values as texts are one each.
            if {*map(_first, texts)} != _OPENING or {*map(_last, texts)} != _CLOSING:
                return None
            plain = _decode_plain(joined)
            data = [one.data for one in plain]
            types = [one.type for one in plain]
            ts = [one.ts for one in plain]
            colons = 2 * count + 3 * (count - ts.count(None))
            # This raises, too, where there is an integer of more than 64 bits.
            colons += _dumps(data).count(b":") + _dumps(types).count(b":")
            # As below: of two equal keys one is gone. With an escape a string may gain or lose one.
            if len(plain) != count or joined.count(b":") != colons or b"\\" in joined:
                return None
            if check_type is not None:
                for type_ in dict.fromkeys(types):
                    check_type(type_)
            return self._checker.check_block(texts, types, data, ts)
        except (*_DOUBTS, InvalidEventError):
            return None

    def read(
        self, texts: Sequence[bytes], check_type: CheckType | None
    ) -> tuple[list[int], list[CheckedDraft], list[Rejected]]:
        """
        Return the places of the good ones among *texts*, their drafts, and the bad ones.

        A blank text is neither. *check_type* may refuse one for its type.
        """
        places: list[int] = []
        drafts: list[CheckedDraft] = []
        rejected: list[Rejected] = []
        read_quickly = self._read_quickly if self._prepare is None else _never
        for place, text in enumerate(texts):
            draft = read_quickly(text)
            if draft is None and (not text or text.isspace()):
                continue
            try:
                if draft is None:
                    draft = self._read_carefully(text)
                if check_type is not None:
                    check_type(draft.type)
            except (MalformedJSONError, InvalidEventError) as error:
                rejected.append(Rejected(place, str(error)))
                continue
            places.append(place)
            drafts.append(draft)
        return places, drafts, rejected

    def _read_quickly(self, text: bytes) -> CheckedDraft | None:
        """Return the draft that *text* surely is, or `None` if that takes a closer look."""
        if b"\\" in text or not text:
            return None
        ts = meta = stream = id_ = None
        is_current = is_kept = True
        try:
            given = _decode(text)
            type_, data = given["type"], given["data"]
            fields = len(given)
            if fields > 2:  # noqa: PLR2004  # those two
                get = given.get
                ts = get("ts")
                if fields > 3 or ts is None:  # noqa: PLR2004  # and this one
                    meta, stream, id_ = get("meta"), get("stream"), get("id")
                    is_current = get("make_current", True)  # a default
                    is_kept = get("store_permanently", True)  # likewise
                    if not given.keys() <= _FIELDS or (meta is None and "meta" in given):
                        return None
            draft = self._check(type_, data, ts, meta, is_current, is_kept, stream, id_)
        except _DOUBTS:
            return None
        # Of two equal keys one is gone, and its colon with it. No string gains or loses one.
        colons = text.count(b":") - fields
        if ts is not None:
            colons -= ts.count(":")
        if data.__class__ is dict and colons == len(data):
            return draft
        colons -= draft.data_json.count(b":") + type_.count(":")
        if meta is not None:
            colons -= draft.meta_json.count(b":")
        if id_ is not None:
            colons -= id_.count(":")
        return draft if colons == 0 else None

    def _read_carefully(self, text: bytes) -> CheckedDraft:
        values = read_json(text)
        try:
            given = self._structure(values, JSONDraft)
        except Exception as error:  # noqa: BLE001  # cattrs raises groups of whatever went wrong
            raise InvalidEventError(problems_of(error)) from None
        draft = Draft(**asdict(given, recurse=False))
        return self._checker.check_draft(draft if self._prepare is None else self._prepare(draft))


def _never(_: bytes) -> None:
    """Plugins are to see each draft before it is checked."""
