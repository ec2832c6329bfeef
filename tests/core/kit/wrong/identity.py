"""Storages that do not know a retry from a new event."""

from attrs import evolve

from telemetry_core.errors import IdConflictError
from telemetry_core.storage import EVERYTHING, Snapshot
from tests.core.kit.fault import breaks
from tests.core.kit.journal import JournalStorage


@breaks("ids.retry")
class AnswersWithTheRetry(JournalStorage):
    """Answers a retry with the time of the retry."""

    def append(self, drafts, recorded_ns):
        answer = super().append(drafts, recorded_ns)
        return [
            evolve(event, ts=draft.ts, is_duplicate=event.is_duplicate)
            for draft, event in zip(drafts, answer, strict=True)
        ]


@breaks("ids.retry")
class StoresARetryAgain(JournalStorage):
    """Stores every retry, and answers with the first event."""

    def append(self, drafts, recorded_ns):
        answer = super().append(drafts, recorded_ns)
        retries = [
            evolve(draft, id=None)
            for draft, event in zip(drafts, answer, strict=True)
            if event.is_duplicate
        ]
        super().append(retries, recorded_ns)
        return answer


@breaks("ids.marked")
class MarksNothing(JournalStorage):
    """Answers a retry as if it were new."""

    def append(self, drafts, recorded_ns):
        return [evolve(one, is_duplicate=False) for one in super().append(drafts, recorded_ns)]


@breaks("ids.marked")
class MarksWhatIsStored(JournalStorage):
    """Yields an event as a duplicate when there was a retry of it."""

    def __init__(self, path):
        super().__init__(path)
        self.retried = set()

    def append(self, drafts, recorded_ns):
        answer = super().append(drafts, recorded_ns)
        self.retried |= {event.id for event in answer if event.is_duplicate}
        return answer

    def read(self, selection=EVERYTHING):
        for event in super().read(selection):
            yield evolve(event, is_duplicate=event.id in self.retried)


@breaks("ids.batch")
class LooksForIdsBeforeABatch(JournalStorage):
    """Does not see that an id stands twice in one batch."""

    def append(self, drafts, recorded_ns):
        seen = set()
        batch = []
        for draft in drafts:
            batch.append(evolve(draft, id=None) if draft.id in seen else draft)
            seen.add(draft.id)
        return super().append(batch, recorded_ns)


@breaks("ids.mixed")
class AnswersNewEventsFirst(JournalStorage):
    """Puts the retries at the end of its answer."""

    def append(self, drafts, recorded_ns):
        return sorted(super().append(drafts, recorded_ns), key=lambda event: event.is_duplicate)


class _TakesAConflictForARetry(JournalStorage):
    """Answers with the stored event whatever else the new one says."""

    def append(self, drafts, recorded_ns):
        try:
            return super().append(drafts, recorded_ns)
        except IdConflictError as conflict:
            (event,) = self.memory.read(evolve(EVERYTHING, after=conflict.seq - 1, limit=1))
            if len(drafts) > 1 or not self.is_same(event, drafts[0]):
                raise
            return [evolve(event, is_duplicate=True)]


@breaks("ids.other_data")
class IgnoresTheDataOfARetry(_TakesAConflictForARetry):
    """Loses an event whose id has other data."""

    def is_same(self, event, draft):
        return event.type == draft.type


@breaks("ids.other_type")
class IgnoresTheTypeOfARetry(_TakesAConflictForARetry):
    """Loses an event whose id has another type."""

    def is_same(self, event, draft):
        return event.data == draft.data


@breaks("ids.other_data")
class NamesNoSeq(JournalStorage):
    """Does not say to which event the id belongs."""

    def append(self, drafts, recorded_ns):
        try:
            return super().append(drafts, recorded_ns)
        except IdConflictError as conflict:
            raise IdConflictError(conflict.event_id, 0) from None


@breaks("ids.conflict")
class KeepsTheRestOfAConflictingBatch(JournalStorage):
    """Keeps what stands before the conflict."""

    def append(self, drafts, recorded_ns):
        try:
            return super().append(drafts, recorded_ns)
        except IdConflictError:
            for draft in drafts:
                super().append([draft], recorded_ns)
            raise


@breaks("ids.current")
class MakesARetryCurrent(JournalStorage):
    """Makes the event of a retry current once more."""

    def __init__(self, path):
        super().__init__(path)
        self.retried = {}

    def append(self, drafts, recorded_ns):
        answer = super().append(drafts, recorded_ns)
        self.retried.update({event.type: event for event in answer if event.is_duplicate})
        return answer

    def current(self):
        snapshot = super().current()
        return Snapshot(snapshot.as_of_seq, {**snapshot.events, **self.retried})


class _ForgetsIds(JournalStorage):
    """Takes a retry of what was forgotten for a new event."""

    def __init__(self, path):
        super().__init__(path)
        self.forgotten = set()

    def append(self, drafts, recorded_ns):
        batch = [evolve(one, id=None) if one.id in self.forgotten else one for one in drafts]
        return super().append(batch, recorded_ns)


@breaks("ids.other_stream")
class ForgetsTheIdsOfARun(_ForgetsIds):
    """Knows the ids of the active run only while it is active."""

    def finish_run(self, run):
        self.forgotten |= {event.id for event in self.read() if event.run_id == run.run_id}
        return super().finish_run(run)


@breaks("ids.none")
class TakesEqualEventsForRetries(JournalStorage):
    """Stores an event once when another one has the same number."""

    def append(self, drafts, recorded_ns):
        batch = [
            evolve(draft, id=str(draft.data)) if draft.id is None else draft for draft in drafts
        ]
        return super().append(batch, recorded_ns)


@breaks("ids.reopen")
class ForgetsIdsOnReopen(_ForgetsIds):
    """Knows the ids of what was appended since it was opened."""

    def __init__(self, path):
        super().__init__(path)
        self.forgotten = {event.id for event in self.read()}
