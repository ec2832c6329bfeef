"""Many drafts at once, side by side: no object is made of an event before somebody asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import orjson
from attrs import define, frozen

from telemetry_core.events import EMPTY_META, CheckedDraft, Event, make_checked_draft, make_event

if TYPE_CHECKING:
    from collections.abc import Iterator


@define
class DraftBlock:
    """
    Checked drafts that go to one stream and have no more than a type, data and a time.

    They have no ids, are to be current and to be stored. `types`, `data` and `ts` stand side by
    side; a `ts` is `None` until the block was stamped. `data` are plain values of JSON, which
    nobody may change. `run_id` names the run whose stream they go to, `None` the site stream;
    `meta_json` is the meta of each.
    """

    types: Sequence[str]
    data: Sequence[Any]
    ts: Sequence[str | None]
    run_id: str | None = None
    meta_json: bytes = EMPTY_META

    def __len__(self) -> int:
        return len(self.types)

    def drafts(self) -> list[CheckedDraft]:
        """Return the drafts one by one."""
        return [
            make_checked_draft(
                ts,  # type: ignore[arg-type]
                type_,
                orjson.dumps(data),
                self.meta_json,
                self.run_id,
                assumes_no_run=self.run_id is None,
            )
            for ts, type_, data in zip(self.ts, self.types, self.data, strict=True)
        ]

    def event(self, index: int, seq: int) -> Event:
        """Return the event that the draft at *index* is under the number *seq*."""
        data_json = orjson.dumps(self.data[index])
        return make_event(seq, str(self.ts[index]), self.types[index], data_json, self.meta_json)

    def latest(self) -> list[int]:
        """Return the last place of each type, in ascending order."""
        return sorted({type_: place for place, type_ in enumerate(self.types)}.values())


@frozen
class BlockEvents(Sequence[Event]):
    """The events that a block became, from `first_seq` on; each is made when it is looked at."""

    block: DraftBlock
    first_seq: int

    def __len__(self) -> int:
        return len(self.block)

    @overload
    def __getitem__(self, index: int) -> Event: ...

    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...

    def __getitem__(self, index: int | slice) -> Event | list[Event]:
        place = range(len(self.block))[index]
        if isinstance(place, range):
            return [self[one] for one in place]
        return self.block.event(place, self.first_seq + place)

    def __iter__(self) -> Iterator[Event]:
        return (self[place] for place in range(len(self.block)))
