"""Storages that take the events of another one wrongly."""

from attrs import evolve

from telemetry_core.errors import IdConflictError, NoActiveRunError
from tests.core.kit.fault import breaks
from tests.core.kit.journal import JournalStorage


@breaks("replicate.same")
class NumbersAnew(JournalStorage):
    """Closes the gaps between the seqs that came."""

    def replicate(self, events):
        last = self.wait(0, 0)
        super().replicate([evolve(one, seq=last + n) for n, one in enumerate(events, 1)])


@breaks("replicate.same")
class PutsTheEventsOfTheRunIntoTheSite(JournalStorage):
    """Takes no notice of the run that an event belongs to."""

    def replicate(self, events):
        super().replicate([evolve(one, meta={}) for one in events])


@breaks("replicate.current")
class MakesNothingCurrent(JournalStorage):
    """Takes what comes for a back-fill."""

    def replicate(self, events):
        super().replicate([evolve(one, make_current=False) for one in events])


@breaks("replicate.current")
class StoresWhatIsEphemeral(JournalStorage):
    """Makes history of what was not to be part of it."""

    def replicate(self, events):
        super().replicate([evolve(one, store_permanently=True) for one in events])


@breaks("replicate.again")
class RefusesWhatItHas(JournalStorage):
    """Takes a seq that it knows for a conflict."""

    def replicate(self, events):
        known = {event.seq for event in self.read()}
        for event in events:
            if event.seq in known:
                raise IdConflictError("", event.seq)
        super().replicate(events)


@breaks("replicate.again", "replicate.same")
class CountsWhatItHas(JournalStorage):
    """Counts an event of the run each time it comes."""

    extra = 0

    def replicate(self, events):
        super().replicate(events)
        self.extra += sum(event.run_id is not None for event in events)

    def runs(self):
        for run in super().runs():
            yield evolve(run, events=self.extra)

    def active_run(self):
        run = super().active_run()
        return None if run is None else evolve(run, events=run.events + 1)


@breaks("replicate.conflict")
class KeepsTheFirst(JournalStorage):
    """Passes over whatever has a seq that it knows."""

    def replicate(self, events):
        known = {event.seq for event in self.read()}
        super().replicate([event for event in events if event.seq not in known])


@breaks("replicate.conflict")
class KeepsWhatIsNoConflict(JournalStorage):
    """Keeps the others of a batch that it refuses."""

    def replicate(self, events):
        try:
            super().replicate(events)
        except IdConflictError as error:
            super().replicate([event for event in events if event.seq != error.seq])
            raise


@breaks("replicate.inactive_run")
class KeepsTheOthersOfABatch(JournalStorage):
    """Keeps the events of the site when the run of the others is not active."""

    def replicate(self, events):
        try:
            super().replicate(events)
        except NoActiveRunError:
            super().replicate([event for event in events if event.run_id is None])
            raise


@breaks("replicate.seq")
class GoesOnWhereItWas(JournalStorage):
    """Gives numbers behind the last stored event, also those of an ephemeral one."""

    taken = 0

    def replicate(self, events):
        self.taken = max([self.taken, *(one.seq for one in events if not one.store_permanently)])
        super().replicate([event for event in events if event.store_permanently])


@breaks("replicate.ids")
class ForgetsTheIdsThatCame(JournalStorage):
    """Knows the ids of its own events and of no others."""

    foreign = frozenset()

    def replicate(self, events):
        super().replicate(events)
        self.foreign |= {event.id for event in events}

    def append(self, drafts, recorded_ns):
        batch = [
            evolve(draft, id=f"mine {draft.id}") if draft.id in self.foreign - {None} else draft
            for draft in drafts
        ]
        return super().append(batch, recorded_ns)
