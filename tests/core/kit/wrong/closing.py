"""Storages that close, flush or open again wrongly."""

import time

from attrs import evolve

from telemetry_core.errors import StorageClosedError, StorageUnavailableError
from telemetry_core.storage import EVERYTHING, Selection
from telemetry_core.testing import make_draft
from tests.core.kit.fault import breaks
from tests.core.kit.journal import JournalStorage


@breaks("close.twice")
class RefusesToCloseTwice(JournalStorage):
    """Raises an error when it was closed before."""

    def close(self):
        self.check_writable()
        super().close()


def _answers_when_closed(call):
    """Return a storage whose *call* has an answer after it was closed."""

    def answer(self, *arguments):
        try:
            return getattr(JournalStorage, call)(self, *arguments)
        except StorageClosedError:
            return None

    def read(self, selection=EVERYTHING):
        try:
            yield from JournalStorage.read(self, selection)
        except StorageClosedError:
            return

    def runs(self):
        try:
            return JournalStorage.runs(self)
        except StorageClosedError:
            return iter(())

    name = f"Answers_{call}_WhenClosed"
    method = {"read": read, "runs": runs}.get(call, answer)
    return type(name, (JournalStorage,), {call: method})


for _call in (
    "append",
    "read",
    "current",
    "start_run",
    "finish_run",
    "runs",
    "active_run",
    "next_run_id",
    "wait",
    "flush",
    "check_writable",
):
    breaks("close.refuses")(_answers_when_closed(_call))


@breaks("close.capabilities")
class ShrinksWithItsRoom(JournalStorage):
    """Takes smaller events when there is something in it."""

    @property
    def capabilities(self):
        is_empty = self.path.stat().st_size == 0
        return evolve(super().capabilities, max_event_bytes=2**18 if is_empty else 2**17)


@breaks("flush.returns")
class HasNothingToFlush(JournalStorage):
    """Raises an error when nothing was appended since the last time."""

    size = 0

    def flush(self):
        before, self.size = self.size, self.path.stat().st_size
        if before == self.size:
            raise StorageUnavailableError("journal", "there is nothing to flush")


@breaks("flush.threads")
class FlushesForOneThread(JournalStorage):
    """Takes no flush from a thread while another one flushes."""

    is_flushing = False

    def flush(self):
        if self.is_flushing:
            raise StorageUnavailableError("journal", "it is being flushed")
        self.is_flushing = True
        time.sleep(0.001)
        self.is_flushing = False


@breaks("flush.threads")
class LosesWhatComesWhileItFlushes(JournalStorage):
    """Keeps nothing of what is appended while somebody flushes."""

    is_flushing = False

    def flush(self):
        self.is_flushing = True
        time.sleep(0.001)
        self.is_flushing = False

    def append(self, drafts, recorded_ns):
        if self.is_flushing:
            return [draft.recorded(1) for draft in drafts]
        return super().append(drafts, recorded_ns)


@breaks("removed.rises")
class ForgetsWhatItRemoved(JournalStorage):
    """Says what was removed the last time, and the next time that nothing was."""

    def removed_through(self):
        last = self.wait(0, 0)
        return last if last % 7 == 3 else 0


@breaks("removed.rises")
class RemovesWhatIsToCome(JournalStorage):
    """Names a seq that nobody was given."""

    def removed_through(self):
        return self.wait(0, 0) + 1


@breaks("flush.writable")
class WritesToSeeWhetherItCan(JournalStorage):
    """Leaves an event behind when it is asked whether it can be written."""

    def check_writable(self):
        self.append([make_draft("probe")], 0)


class _Reopens(JournalStorage):
    """Knows the last seq that it had when it was opened."""

    def __init__(self, path):
        super().__init__(path)
        self.opened_at = self.wait(0, 0)


@breaks("reopen.events")
class LosesMetaOnReopen(_Reopens):
    """Has the meta of events until it is closed."""

    def read(self, selection=EVERYTHING):
        for event in super().read(selection):
            if event.seq > self.opened_at:
                yield event
            else:
                yield evolve(event, meta={"run_id": event.run_id} if event.run_id else {})


@breaks("reopen.appends")
class PutsNewEventsFirst(_Reopens):
    """Yields what was appended since it was opened before what was there."""

    def read(self, selection=EVERYTHING):
        events = list(super().read(selection))
        yield from sorted(events, key=lambda event: event.seq <= self.opened_at)


@breaks("reopen.events", "reopen.appends")
class ForgetsOnReopen(JournalStorage):
    """Begins anew each time it is opened."""

    def __init__(self, path):
        path.write_bytes(b"")
        super().__init__(path)


@breaks("reopen.seq", "crash.seq")
class GivesEphemeralSeqsAgain(JournalStorage):
    """Forgets the seqs of ephemeral events when it is closed."""

    def write_down(self, name, arguments):
        if name != "append" or any(draft.store_permanently for draft in arguments[0]):
            super().write_down(name, arguments)


@breaks("crash.events", "crash.seq", "crash.runs", "crash.current", "crash.ids")
class WritesWhenItIsClosed(JournalStorage):
    """Keeps what it is to write in memory until it is closed."""

    def __init__(self, path):
        super().__init__(path)
        self.kept = []

    def write_down(self, name, arguments):
        self.kept.append((name, arguments))

    def close(self):
        kept, self.kept = self.kept, []
        for name, arguments in kept:
            super().write_down(name, arguments)
        super().close()


@breaks("crash.events")
class RepeatsTheLastEventOnReopen(JournalStorage):
    """Does the last thing once more when it is opened."""

    def __init__(self, path):
        super().__init__(path)
        for event in self.read(Selection(last=1)):
            self.append([make_draft(event.type, event.data)], 0)
