"""What is promised of many events at once: drafts side by side, and the history as text."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from telemetry_core.blocks import DraftBlock
from telemetry_core.clock import system_clock
from telemetry_core.codec import event_dict
from telemetry_core.errors import NoActiveRunError
from telemetry_core.events import Event
from telemetry_core.storage import Selection, Storage
from telemetry_core.testing.promise import OpenStorage, PromiseTests, promise
from telemetry_core.testing.samples import (
    append,
    append_numbers,
    is_ascending,
    make_draft,
    make_run,
    seqs_of,
    stored,
)

_TYPES = ("weather", "power", "weather")
_SELECTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"stream": "site"},
    {"run": "001"},
    {"run": "unknown"},
    {"types": "power"},
    {"since": "2026-03-18T00:00:02.000Z"},
    {"until": "2026-03-18T00:00:02.000Z"},
    {"limit": 3},
    {"last": 3},
    {"limit": 0},
)


def _make_block(*values: Any, run_id: str | None = None) -> DraftBlock:
    """Return a block of the types weather, power, weather, … as the recorder hands it over."""
    meta = {} if run_id is None else {"run_id": run_id}
    return DraftBlock(
        [_TYPES[place % len(_TYPES)] for place in range(len(values))],
        values,
        [f"2026-03-18T00:00:0{place % 10}.000Z" for place in range(len(values))],
        run_id,
        orjson.dumps(meta),
    )


def _lines_of(storage: Storage, **selection: Any) -> list[Any]:
    blocks = list(storage.read_json(Selection(**selection)))
    assert all(block.endswith(b"\n") for block in blocks), "a block ends within a line"
    return [orjson.loads(line) for block in blocks for line in block[:-1].split(b"\n")]


class BlockTests(PromiseTests):
    """The promises `blocks.…`."""

    @promise("blocks.append")
    def test_a_block_is_kept_as_its_drafts_would_be(self, open_storage: OpenStorage) -> None:
        """A block gets ascending seqs, and is returned, read and current as its drafts would be."""
        with open_storage() as storage:
            before = append_numbers(storage, 1)
            values = [{"a": 1.5}, [None], "é", 7, {"b": {"c": []}}]
            for run_id in (None, "001"):
                if run_id is not None:
                    storage.start_run(make_run(run_id))
                block = _make_block(*values, run_id=run_id)
                expected = [(one.type, one.ts, one.data, one.meta) for one in block.drafts()]
                events = list(storage.append_block(block, system_clock()))
                assert [(one.type, one.ts, one.data, one.meta) for one in events] == expected
                assert is_ascending(seqs_of([*before, *events]))
                assert stored(storage)[-len(events) :] == events
                assert stored(storage, **_stream_of(run_id))[-len(events) :] == events
                assert dict(storage.current()) == {"weather": events[3], "power": events[4]}
                before = events
            run = storage.active_run()
            assert run is not None
            assert (run.events, run.last_seq) == (len(values), before[-1].seq)
            assert append_numbers(storage, 2)[0].seq > before[-1].seq

    @promise("blocks.refused")
    def test_a_block_of_an_inactive_run(self, open_storage: OpenStorage) -> None:
        """A block of a run that is not active raises `NoActiveRunError`, and nothing is kept."""
        with open_storage() as storage:
            events = append_numbers(storage, 1)
            with pytest.raises(NoActiveRunError):
                storage.append_block(_make_block(2, 3, run_id="001"), system_clock())
            assert stored(storage) == events
            assert append_numbers(storage, 4)[0].seq > events[0].seq

    @promise("blocks.read")
    def test_read_json_yields_what_read_does(self, open_storage: OpenStorage) -> None:
        """`read_json` yields what `read` does, in blocks of whole lines: JSON of the five keys."""
        with open_storage() as storage:
            assert _lines_of(storage) == []
            storage.start_run(make_run())
            events: list[Event] = []
            for number in range(4):
                ts = f"2026-03-18T00:00:0{number}.000Z"
                events += append(
                    storage,
                    make_draft(data=number, ts=ts),
                    make_draft("power", {"é\n": None}, ts=ts, run_id="001", id=f"id{number}"),
                    make_draft(data="x" * 1000, ts=ts, meta={"a": [1]}, make_current=False),
                )
            after = [{"after": event.seq} for event in events[::3]]
            for selection in (*_SELECTIONS, *after):
                expected = [event_dict(event) for event in stored(storage, **selection)]
                found = _lines_of(storage, **selection)
                assert found == expected, f"of {selection}"


def _stream_of(run_id: str | None) -> dict[str, str]:
    return {"stream": "site"} if run_id is None else {"run": run_id}
