"""Storages that append wrongly."""

from attrs import evolve

from telemetry_core.errors import NoActiveRunError, StorageUnavailableError, UnsupportedError
from telemetry_core.storage import EVERYTHING, Snapshot, Storage
from tests.core.kit.fault import breaks
from tests.core.kit.journal import JournalStorage


@breaks("append.order")
class SortsABatch(JournalStorage):
    """Sorts the numbers of a batch."""

    def append(self, drafts, recorded_ns):
        numbers = all(type(draft.data) is int for draft in drafts)
        ordered = sorted(drafts, key=lambda draft: draft.data) if numbers else drafts
        return super().append(ordered, recorded_ns)


@breaks("append.seq")
class NumbersEachStream(JournalStorage):
    """Counts the events of each stream from 1."""

    def append(self, drafts, recorded_ns):
        answer = super().append(drafts, recorded_ns)
        streams = [event.run_id for event in self.memory.read()]
        return [evolve(one, seq=streams[: one.seq].count(one.run_id)) for one in answer]


@breaks("append.visible")
class ShowsTheLastBatchLate(JournalStorage):
    """Leaves the last batch out the first time it is asked."""

    late = 0

    def append(self, drafts, recorded_ns):
        answer = super().append(drafts, recorded_ns)
        self.late = len(answer)
        return answer

    def read(self, selection=EVERYTHING):
        events = list(super().read(selection))
        late, self.late = self.late, 0
        yield from events[: len(events) - late]


@breaks("append.visible")
class ShowsCurrentLate(JournalStorage):
    """Has in `current` what it had before the last batch."""

    before = Snapshot(0)

    def append(self, drafts, recorded_ns):
        self.before = super().current()
        return super().append(drafts, recorded_ns)

    def current(self):
        return self.before


@breaks("append.fields")
class ForgetsWhoAskedToBeCurrent(JournalStorage):
    """Says of all it reads that they asked to be current."""

    def read(self, selection=EVERYTHING):
        for event in super().read(selection):
            yield evolve(event, make_current=True)


@breaks("append.fields")
class MarksNewEvents(JournalStorage):
    """Marks as a duplicate whatever has an id."""

    def append(self, drafts, recorded_ns):
        answer = super().append(drafts, recorded_ns)
        return [evolve(event, is_duplicate=event.id is not None) for event in answer]


@breaks("append.ts")
class SortsByTs(JournalStorage):
    """Reads in the order of the times that the events say of themselves."""

    def read(self, selection=EVERYTHING):
        yield from sorted(super().read(selection), key=lambda event: event.ts)


@breaks("append.streams")
class PutsABatchIntoOneStream(JournalStorage):
    """Takes the stream of the first draft for that of the batch."""

    def append(self, drafts, recorded_ns):
        batch = [evolve(draft, run_id=drafts[0].run_id, meta=drafts[0].meta) for draft in drafts]
        return super().append(batch, recorded_ns)


@breaks("append.empty")
class RefusesAnEmptyBatch(JournalStorage):
    """Wants something to append."""

    def append(self, drafts, recorded_ns):
        if not drafts:
            raise UnsupportedError("journal", "append nothing")
        return super().append(drafts, recorded_ns)


@breaks("append.many")
class KeepsTheFirstThousand(JournalStorage):
    """Loses what is beyond the first thousand of a batch, and says that it kept it."""

    def append(self, drafts, recorded_ns):
        answer = super().append(drafts[:1000], recorded_ns)
        return answer + [draft.recorded(0) for draft in drafts[1000:]]


@breaks("append.inactive_run")
class NamesNoRun(JournalStorage):
    """Does not say which run is not active."""

    def append(self, drafts, recorded_ns):
        try:
            return super().append(drafts, recorded_ns)
        except NoActiveRunError:
            raise NoActiveRunError from None


@breaks("append.finished_run")
class PutsLateEventsIntoTheSite(JournalStorage):
    """Takes what comes after the end of its run into the site stream."""

    def append(self, drafts, recorded_ns):
        finished = {run.run_id for run in self.runs() if not run.is_active}
        batch = [
            evolve(draft, run_id=None, meta={}) if draft.run_id in finished else draft
            for draft in drafts
        ]
        return super().append(batch, recorded_ns)


@breaks("append.all_or_nothing")
class KeepsHalfOfARefusedBatch(JournalStorage):
    """Keeps what stands before the draft that is refused."""

    def append(self, drafts, recorded_ns):
        try:
            return super().append(drafts, recorded_ns)
        except NoActiveRunError:
            for draft in drafts:
                super().append([draft], recorded_ns)
            raise


@breaks("append.all_or_nothing")
class MakesARefusedBatchCurrent(JournalStorage):
    """Updates `current` before it looks whether the batch can be kept."""

    refused = ()

    def append(self, drafts, recorded_ns):
        try:
            return super().append(drafts, recorded_ns)
        except NoActiveRunError:
            self.refused = [draft.recorded(0) for draft in drafts]
            raise

    def current(self):
        snapshot = super().current()
        events = {**snapshot.events, **{event.type: event for event in self.refused}}
        return Snapshot(snapshot.as_of_seq, events)


@breaks("append.all_or_nothing")
class RemembersTheIdsOfARefusedBatch(JournalStorage):
    """Takes an event for a retry when a refused batch had its id."""

    def __init__(self, path):
        super().__init__(path)
        self.refused = set()

    def append(self, drafts, recorded_ns):
        try:
            answer = super().append(drafts, recorded_ns)
        except NoActiveRunError:
            self.refused |= {draft.id for draft in drafts} - {None}
            raise
        return [evolve(one, is_duplicate=one.id in self.refused) for one in answer]


@breaks("append.goes_on")
class TakesNothingAfterARefusal(JournalStorage):
    """Is out of order after it refused a batch."""

    is_broken = False

    def append(self, drafts, recorded_ns):
        if self.is_broken:
            raise StorageUnavailableError("journal", "a batch was refused")
        try:
            return super().append(drafts, recorded_ns)
        except NoActiveRunError:
            self.is_broken = True
            raise


@breaks("ephemeral.seq")
class RepeatsTheSeqOfAnEphemeralEvent(JournalStorage):
    """Gives an ephemeral event the number of the event before."""

    def append(self, drafts, recorded_ns):
        answer = super().append(drafts, recorded_ns)
        return [one if one.store_permanently else evolve(one, seq=one.seq - 1) for one in answer]


@breaks("ephemeral.unread")
class StoresEphemeralEvents(JournalStorage):
    """Gives ephemeral events to readers."""

    def append(self, drafts, recorded_ns):
        answer = super().append(
            [evolve(draft, store_permanently=True) for draft in drafts], recorded_ns
        )
        return [
            evolve(event, store_permanently=draft.store_permanently)
            for draft, event in zip(drafts, answer, strict=True)
        ]


@breaks("ephemeral.unread")
class CountsEphemeralEvents(JournalStorage):
    """Counts an ephemeral event of a run among the events of the run."""

    extra = 0

    def append(self, drafts, recorded_ns):
        answer = super().append(drafts, recorded_ns)
        self.extra += sum(one.run_id is not None and not one.store_permanently for one in answer)
        return answer

    def active_run(self):
        run = super().active_run()
        return None if run is None else evolve(run, events=run.events + self.extra)


@breaks("ephemeral.current", "recorder.current")
class ForgetsEphemeralEvents(JournalStorage):
    """Makes `current` from the history, and claims that it keeps ephemeral events."""

    current = Storage.current
