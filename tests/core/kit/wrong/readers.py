"""Storages in which readers hinder each other, or a writer."""

import time

from attrs import evolve

from telemetry_core.errors import StorageUnavailableError
from telemetry_core.storage import EVERYTHING, Snapshot
from tests.core.kit.fault import breaks
from tests.core.kit.journal import JournalStorage


@breaks("read.bounded")
class ReadsEverythingAtOnce(JournalStorage):
    """Holds all it yields."""

    def read(self, selection=EVERYTHING):
        yield from list(super().read(selection))


class _CountsReaders(JournalStorage):
    """Knows how many readers have begun and not ended."""

    readers = 0

    def read(self, selection=EVERYTHING):
        self.readers += 1
        try:
            yield from super().read(selection)
        finally:
            self.readers -= 1


@breaks("read.abandoned")
class RefusesToWriteBesideReaders(_CountsReaders):
    """Is locked for writers while somebody reads."""

    def append(self, drafts, recorded_ns):
        if self.readers:
            raise StorageUnavailableError("journal", "the database is locked")
        return super().append(drafts, recorded_ns)


@breaks("read.abandoned", "read.stable")
class WaitsForReaders(_CountsReaders):
    """Makes a writer wait until nobody reads."""

    def append(self, drafts, recorded_ns):
        while self.readers:
            time.sleep(0.01)
        return super().append(drafts, recorded_ns)


@breaks("read.abandoned")
class ClosesAfterItsReaders(_CountsReaders):
    """Makes who closes it wait until nobody reads."""

    def close(self):
        while self.readers:
            time.sleep(0.01)
        super().close()


@breaks("read.side_by_side")
class HasOneCursor(JournalStorage):
    """Ends a reader when another one begins."""

    cursor = None

    def read(self, selection=EVERYTHING):
        self.cursor = mine = object()
        for event in super().read(selection):
            if self.cursor is not mine:
                return
            yield event


@breaks("read.stable")
class EndsAReaderWhenItGrows(JournalStorage):
    """Ends a reader when something is appended meanwhile."""

    size = 0

    def append(self, drafts, recorded_ns):
        self.size += len(drafts)
        return super().append(drafts, recorded_ns)

    def read(self, selection=EVERYTHING):
        size = self.size
        for event in super().read(selection):
            if self.size != size:
                return
            yield event


@breaks("read.whole_batches")
class AppendsOneByOne(JournalStorage):
    """Shows a batch before it is whole."""

    def append(self, drafts, recorded_ns):
        answer = []
        for draft in drafts:
            answer += super().append([draft], recorded_ns)
            time.sleep(0.001)
        return answer


@breaks("read.isolated")
class SharesWhatItReads(JournalStorage):
    """Gives all readers the same objects."""

    def __init__(self, path):
        super().__init__(path)
        self.shared = {}

    def read(self, selection=EVERYTHING):
        for event in super().read(selection):
            yield self.shared.setdefault(event.seq, event)


@breaks("read.isolated")
class SharesWhatIsCurrent(JournalStorage):
    """Gives all who look at `current` the same objects."""

    def __init__(self, path):
        super().__init__(path)
        self.shared = {}

    def current(self):
        snapshot = super().current()
        events = {
            type_: self.shared.setdefault(event.seq, event) for type_, event in snapshot.items()
        }
        return Snapshot(snapshot.as_of_seq, events)


@breaks("read.answers")
class ForgetsTheIdsItReads(JournalStorage):
    """Yields the events of runs without their ids."""

    def read(self, selection=EVERYTHING):
        for event in super().read(selection):
            yield event if event.run_id is None else evolve(event, id=None)
