"""What the client sends: values that JSON may not know, as JSON that the service takes."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, Final

from telemetry_core import Draft, InvalidEventError, Plugins, Problem
from telemetry_core.clock import Clock, format_ts, ts_of
from telemetry_core.validation import Checker

_UNLIMITED: Final = 2**62


def encoded(value: Any) -> bytes:
    """
    Return *value* as JSON.

    Raises:
        InvalidEventError: It has none.
    """
    return _checker().encode(value, "$")


def encoded_draft(draft: Draft, clock: Clock, *, is_brief: bool = False) -> bytes:
    """
    Return *draft* as the service reads an event, with the time of *clock* if it has none.

    With *is_brief* what the service takes for what is left out is left out, as one of many.

    Raises:
        InvalidEventError: It cannot be expressed in JSON.
    """
    checker = _checker()
    data_json = checker.encode(draft.data, "$.data")
    meta = {} if draft.meta is None else draft.meta
    meta_json = b"" if is_brief and not meta else b',"meta":' + checker.encode(meta, "$.meta")
    flags = {"make_current": draft.make_current, "store_permanently": draft.store_permanently}
    rest = {
        "type": draft.type,
        **{name: flag for name, flag in flags.items() if not (is_brief and flag is True)},
        "ts": stamp(draft.ts, clock),
        **({} if draft.stream is None else {"stream": draft.stream}),
        **({} if draft.id is None else {"id": draft.id}),
    }
    # Spliced, because data and meta are JSON already and may nest as deep as is allowed.
    head = checker.encode(rest, "$")[:-1]
    return b'%b,"data":%b%b}' % (head, data_json, meta_json)


def stamp(ts: str | datetime | None, clock: Clock) -> str:
    """
    Return *ts* as text; that of *clock* if it is `None`.

    Raises:
        InvalidEventError: It is a datetime without a zone.
    """
    if ts is None:
        return format_ts(clock())
    if not isinstance(ts, datetime):
        return ts
    try:
        return ts_of(ts)
    except ValueError as error:
        raise InvalidEventError([Problem("$.ts", str(error))]) from None


@cache
def _checker() -> Checker:
    """Return what makes JSON here; how large an event may be is for the service to say."""
    return Checker(Plugins().make_converter(), max_event_bytes=_UNLIMITED)
