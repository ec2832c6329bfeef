"""Storages that are wrong with many events at once."""

import orjson

from telemetry_core.events import copy_of
from telemetry_core.storage import EVERYTHING
from tests.core.kit.fault import breaks
from tests.core.kit.journal import JournalStorage


@breaks("blocks.append")
class ForgetsTheRunOfABlock(JournalStorage):
    """Keeps every block in the site stream."""

    def append_block(self, block, recorded_ns):
        block.run_id, block.meta_json = None, b"{}"
        return super().append_block(block, recorded_ns)


@breaks("blocks.append")
class MakesTheFirstOfABlockCurrent(JournalStorage):
    """Shows the first event of each type of a block, and not the last."""

    def append_block(self, block, recorded_ns):
        events = super().append_block(block, recorded_ns)
        self.memory._current.update({one.type: copy_of(one) for one in reversed(events)})  # noqa: SLF001
        return events


@breaks("blocks.append")
class NumbersABlockAnew(JournalStorage):
    """Answers with the events of the last block."""

    answered = None

    def append_block(self, block, recorded_ns):
        events = super().append_block(block, recorded_ns)
        self.answered = self.answered or events
        return self.answered


@breaks("blocks.refused")
class TakesABlockOfAnyRun(JournalStorage):
    """Keeps the block of a run that is not active in the site stream."""

    def append_block(self, block, recorded_ns):
        if self.active_run() is None:
            block.run_id = None
        return super().append_block(block, recorded_ns)


@breaks("blocks.read")
class ReadsTextWithoutASelection(JournalStorage):
    """Hands its whole text on."""

    def read_json(self, selection=EVERYTHING):
        del selection
        return super().read_json()


@breaks("blocks.read")
class CutsTextAnywhere(JournalStorage):
    """Yields blocks of a size, which end within a line."""

    def read_json(self, selection=EVERYTHING):
        text = b"".join(super().read_json(selection))
        return iter([text[start : start + 100] for start in range(0, len(text), 100)])


@breaks("blocks.read")
class AddsAKey(JournalStorage):
    """Tells the ids in the lines, too."""

    def read_json(self, selection=EVERYTHING):
        for event in self.read(selection):
            line = {"seq": event.seq, "ts": event.ts, "type": event.type, "data": event.data}
            yield orjson.dumps({**line, "meta": event.meta, "id": event.id}) + b"\n"
