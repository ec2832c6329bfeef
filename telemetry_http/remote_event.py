"""What the client gives back: an event that reads like a record of PanDB, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import frozen

_KEYS: Final = ("seq", "ts", "type", "data", "meta")


@frozen(eq=False)
class TelemetryEvent(Mapping[str, Any]):
    """
    An event as the service told it: attributes and, with the same names, a mapping.

    `seq` is its number, `ts` when it happened (RFC 3339, UTC), `data` any JSON value or what the
    client's `decode` made of it. Nobody else holds this copy, so what is changed in its `data` or
    `meta` changes nothing elsewhere. Iterating gives the five names; the names of PanDB are found
    by looking them up only: `event["_id"]` is `seq` as text, `event["date"]` is `ts`. It equals
    every mapping with the same five items, and can be pickled.
    """

    seq: int
    ts: str
    type: str
    data: Any
    meta: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        if key in _KEYS:
            return getattr(self, key)
        if key == "_id":
            return str(self.seq)
        if key == "date":
            return self.ts
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(_KEYS)

    def __len__(self) -> int:
        return len(_KEYS)
