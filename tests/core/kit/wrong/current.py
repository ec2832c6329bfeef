"""Storages whose `current` is wrong."""

from telemetry_core.storage import Snapshot
from tests.core.kit.fault import breaks
from tests.core.kit.journal import JournalStorage


class _Looks(JournalStorage):
    """Has in `current` what `looked` makes of the right events."""

    def current(self):
        snapshot = super().current()
        return Snapshot(snapshot.as_of_seq, self.looked(dict(snapshot.events)))


@breaks("current.latest")
class KeepsTheFirstOfEachType(_Looks):
    """Never replaces what is current."""

    def looked(self, events):
        first = {event.type: event for event in reversed(list(self.read()))}
        return {type_: first.get(type_, event) for type_, event in events.items()}


@breaks("current.latest")
class KnowsOneType(_Looks):
    """Has the latest event only."""

    def looked(self, events):
        return dict(list(events.items())[-1:])


@breaks("current.ts")
class GoesByTs(_Looks):
    """Has the event with the latest time of each type."""

    def looked(self, events):
        stored = sorted(self.read(), key=lambda event: event.ts)
        return events | {event.type: event for event in stored if event.make_current}


@breaks("current.batch")
class PrefersTheRunInABatch(_Looks):
    """Makes the last event of the run current when a batch has both."""

    def __init__(self, path):
        super().__init__(path)
        self.preferred = {}

    def append(self, drafts, recorded_ns):
        answer = super().append(drafts, recorded_ns)
        self.preferred = {event.type: event for event in answer if event.run_id is not None}
        return answer

    def looked(self, events):
        return events | self.preferred


@breaks("current.asked")
class MakesEverythingCurrent(_Looks):
    """Has also the events that did not ask to be current."""

    def looked(self, events):
        return events | {event.type: event for event in self.read()}


@breaks("current.run_end")
class ForgetsARunThatEnds(_Looks):
    """Wipes what is current of a run when it is finished."""

    def looked(self, events):
        active = {run.run_id for run in self.runs() if run.is_active}
        kept = active | {None}
        return {type_: event for type_, event in events.items() if event.run_id in kept}


@breaks("current.run_end")
class ForgetsTheSiteWhenARunStarts(_Looks):
    """Has only what is current of the run while one is active."""

    def looked(self, events):
        run = self.active_run()
        wanted = [event for event in events.values() if run is None or event.run_id == run.run_id]
        return {event.type: event for event in wanted}


@breaks("current.order")
class SortsTypesByName(_Looks):
    """Has the types in the order of the alphabet."""

    def looked(self, events):
        return dict(sorted(events.items()))


@breaks("current.cursor")
class SaysTheNextSeq(JournalStorage):
    """Gives as the cursor the seq that the next event will have."""

    def current(self):
        snapshot = super().current()
        seq = snapshot.as_of_seq
        return Snapshot(seq and seq + 1, snapshot.events)


@breaks("current.reopen")
class ForgetsCurrentOnReopen(_Looks):
    """Knows what became current since it was opened."""

    def __init__(self, path):
        super().__init__(path)
        self.opened_at = super().wait(0, 0)

    def looked(self, events):
        return {type_: event for type_, event in events.items() if event.seq > self.opened_at}
