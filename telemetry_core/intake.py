"""
Taking in events as JSON text, many at once, each judged as if it came alone.

`codec.read_json` and the `Checker` say what may be recorded. For most texts orjson says the same
many times quicker; where it might not, because it is laxer, the text is read the careful way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson
from attrs import asdict, field, fields, frozen

from telemetry_core.codec import make_converter, problems_of, read_json
from telemetry_core.errors import InvalidEventError, MalformedJSONError
from telemetry_core.events import Draft

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from telemetry_core.events import CheckedDraft, Event
    from telemetry_core.validation import Checker

_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_MANY_DIGITS: Final = b"0" * 19
"""No integer of fewer digits is outside of 64 bits."""

_loads = orjson.loads


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


_FIELDS = frozenset(one.name for one in fields(JSONDraft))


@frozen
class Rejected:
    """One text that was not recorded: its place among those given, from 0 on, and why."""

    index: int
    detail: str


@frozen
class Report:
    """What became of many texts: the events of those recorded, and the others, in order."""

    events: tuple[Event, ...] = ()
    rejected: tuple[Rejected, ...] = ()


class Intake:
    """
    Makes checked drafts of JSON texts. May be used by several threads.

    *prepare* is what the plugins make of each draft before it is checked, if there are any.
    """

    def __init__(self, checker: Checker, prepare: Callable[[Draft], Draft] | None) -> None:
        self._checker = checker
        self._prepare = prepare
        self._structure = make_converter().structure

    def read(self, texts: Sequence[bytes]) -> tuple[list[int], list[CheckedDraft], list[Rejected]]:
        """
        Return the places of the good ones among *texts*, their drafts, and the bad ones.

        A blank text is neither.
        """
        places: list[int] = []
        drafts: list[CheckedDraft] = []
        rejected: list[Rejected] = []
        is_plain = self._prepare is None and _is_plain(b"\n".join(texts))
        for place, text in enumerate(texts):
            if not text:
                continue
            draft = None
            if is_plain or (self._prepare is None and _is_plain(text)):
                draft = self._read_quickly(text)
            if draft is None:
                if text.isspace():
                    continue
                try:
                    draft = self._read_carefully(text)
                except (MalformedJSONError, InvalidEventError) as error:
                    rejected.append(Rejected(place, str(error)))
                    continue
            places.append(place)
            drafts.append(draft)
        return places, drafts, rejected

    def _read_quickly(self, text: bytes) -> CheckedDraft | None:
        """Return the draft that a plain *text* surely is, or `None` if that takes a closer look."""
        try:
            given = _loads(text)
            get = given.get
            meta = get("meta")
            if not given.keys() <= _FIELDS or (meta is None and "meta" in given):
                return None
            type_, ts, id_ = given["type"], get("ts"), get("id")
            draft = self._checker.check(
                type_,
                given["data"],
                ts,
                meta,
                get("make_current", True),  # a default, as dict has it
                get("store_permanently", True),  # likewise
                get("stream"),
                id_,
            )
        except (ValueError, KeyError, AttributeError):
            return None
        # Of two equal keys one is gone, and its colon with it. No string gains or loses one.
        colons = len(given) + draft.data_json.count(b":") + type_.count(":")
        if ts is not None:
            colons += ts.count(":")
        if meta is not None:
            colons += draft.meta_json.count(b":")
        if id_ is not None:
            colons += id_.count(":")
        return draft if text.count(b":") == colons else None

    def _read_carefully(self, text: bytes) -> CheckedDraft:
        values = read_json(text)
        try:
            given = self._structure(values, JSONDraft)
        except Exception as error:  # noqa: BLE001  # cattrs raises groups of whatever went wrong
            raise InvalidEventError(problems_of(error)) from None
        draft = Draft(**asdict(given, recurse=False))
        return self._checker.check_draft(draft if self._prepare is None else self._prepare(draft))


def _is_plain(text: bytes) -> bool:
    """Whether *text* has no escape and no long number, so that its colons tell of equal keys."""
    return b"\\" not in text and _MANY_DIGITS not in text.translate(_DIGITS)
