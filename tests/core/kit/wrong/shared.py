"""Storages that are shared and do not know it."""

from attrs import evolve

from telemetry_core.errors import RunActiveError
from telemetry_core.storage import Snapshot
from tests.core.kit.fault import breaks
from tests.core.kit.journal import JournalStorage


class _KnowsItsOwn(JournalStorage):
    """Knows which seqs it gave itself."""

    def __init__(self, path):
        super().__init__(path)
        self.own = {0}

    def append(self, drafts, recorded_ns):
        answer = super().append(drafts, recorded_ns)
        self.own |= {event.seq for event in answer}
        return answer


@breaks("shared.visible")
class ShowsItsOwn(_KnowsItsOwn):
    """Has in `current` what it appended itself."""

    def current(self):
        snapshot = super().current()
        own = {type_: event for type_, event in snapshot.items() if event.seq in self.own}
        return Snapshot(snapshot.as_of_seq, own)


@breaks("shared.seq")
class LooksOnce(JournalStorage):
    """Sees what others did until it was first used."""

    has_looked = False

    def catch_up(self):
        if not self.has_looked:
            super().catch_up()
        self.has_looked = True


@breaks("shared.race")
class LetsEachWriterStartARun(JournalStorage):
    """Refuses a second run to the writer that started the first."""

    has_started = False

    def start_run(self, run):
        try:
            return super().start_run(run)
        except RunActiveError:
            if self.has_started:
                raise
            return run
        finally:
            self.has_started = True


@breaks("shared.assumed", "recorder.shared", "recorder.shared_block")
class KnowsBetterThanToLook(JournalStorage):
    """Believes each writer that no run is active."""

    def append(self, drafts, recorded_ns):
        return super().append([evolve(draft) for draft in drafts], recorded_ns)


@breaks("shared.wait")
class WakesForItsOwn(_KnowsItsOwn):
    """Ends a `wait` when it appended something itself, or the time is over."""

    def wait(self, after, timeout=None):
        while timeout is None and max(self.own) <= after:
            super().wait(2**63, 0.01)
        return super().wait(after, timeout)
