"""Storages that do not read what a selection asks for."""

import re

from attrs import evolve

from telemetry_core.clock import instant_ns
from telemetry_core.errors import UnknownRunError
from telemetry_core.events import make_event
from telemetry_core.storage import EVERYTHING, Selection
from tests.core.kit.fault import breaks
from tests.core.kit.journal import JournalStorage


@breaks("read.order")
class ReadsStreamAfterStream(JournalStorage):
    """Yields the site stream first, then the runs."""

    def read(self, selection=EVERYTHING):
        yield from sorted(super().read(selection), key=lambda event: event.run_id or "")


@breaks("read.empty")
class BeginsWithAnEvent(JournalStorage):
    """Greets the readers of a new storage."""

    def read(self, selection=EVERYTHING):
        events = list(super().read(selection))
        yield from events or [make_event(1, "2026-03-18T00:00:00.000Z", "opened", b"null")]


class _Widens(JournalStorage):
    """Reads more than is asked for: what `wider` makes of the selection."""

    def read(self, selection=EVERYTHING):
        yield from super().read(self.wider(selection))


@breaks("read.site", "recorder.routing")
class TakesRunsForTheSite(_Widens):
    """Yields the events of runs in the site stream."""

    def wider(self, selection):
        return evolve(selection, stream=None)


@breaks("read.run")
class ReadsARunWhenItIsFinished(JournalStorage):
    """Yields nothing of a run while it is active."""

    def read(self, selection=EVERYTHING):
        active = self.active_run()
        if active is None or active.run_id != selection.run:
            yield from super().read(selection)


@breaks("read.unknown_run")
class RefusesAnUnknownRun(JournalStorage):
    """Raises an error when there is no such run."""

    def read(self, selection=EVERYTHING):
        if selection.run is not None and selection.run not in {one.run_id for one in self.runs()}:
            raise UnknownRunError(selection.run)
        yield from super().read(selection)


class _Filters(JournalStorage):
    """Reads without `since`, `until`, `types` and `run`, and filters by `is_asked_for`."""

    def read(self, selection=EVERYTHING):
        wide = evolve(selection, since=None, until=None, types=(), run=None)
        for event in super().read(wide):
            in_run = selection.run is None or event.run_id == selection.run
            if self.is_asked_for(selection, event, in_run=in_run):
                yield event

    def is_asked_for(self, selection, event, *, in_run):
        return in_run and selection.matches(event)


@breaks("read.types")
class TakesATypeForAPrefix(_Filters):
    """Yields the events of `weather/x` to who asks for `weather`."""

    def is_asked_for(self, selection, event, *, in_run):
        wanted = not selection.types or event.type.startswith(selection.types)
        return in_run and wanted and evolve(selection, types=()).matches(event)


@breaks("read.since_until")
class IncludesUntil(_Filters):
    """Takes `until` inclusively."""

    def is_asked_for(self, selection, event, *, in_run):
        until_ns = selection.until_ns
        in_time = until_ns is None or instant_ns(event.ts) <= until_ns
        return in_run and in_time and evolve(selection, until=None).matches(event)


@breaks("read.instants")
class ComparesTimesAsText(_Filters):
    """Compares the spellings of times."""

    def is_asked_for(self, selection, event, *, in_run):
        since, until = str(selection.since or ""), str(selection.until or "9")
        timeless = evolve(selection, since=None, until=None)
        return in_run and since <= event.ts < until and timeless.matches(event)


@breaks("read.after", "recorder.follow")
class IncludesAfter(_Widens):
    """Yields the event that the cursor stands on once more."""

    def wider(self, selection):
        return evolve(selection, after=max(selection.after - 1, 0))


@breaks("read.after")
class LooksForTheCursor(JournalStorage):
    """Begins from the start when no event has the seq of the cursor."""

    def read(self, selection=EVERYTHING):
        seqs = {event.seq for event in super().read()}
        after = selection.after if selection.after in seqs else 0
        yield from super().read(evolve(selection, after=after))


@breaks("read.limit")
class ReadsOnePage(JournalStorage):
    """Yields five events at most to who gives a limit."""

    def read(self, selection=EVERYTHING):
        limit = None if selection.limit is None else min(selection.limit, 5)
        yield from super().read(evolve(selection, limit=limit))


@breaks("read.limit_zero")
class TakesZeroForNoLimit(_Widens):
    """Yields everything when nothing is asked for."""

    def wider(self, selection):
        return evolve(selection, limit=selection.limit or None)


@breaks("read.limit_zero")
class TakesTheLastZeroForAll(JournalStorage):
    """Slices with `events[-0:]`."""

    def read(self, selection=EVERYTHING):
        events = list(super().read(evolve(selection, last=None)))
        yield from events if selection.last is None else events[-selection.last :]


@breaks("read.last")
class ReadsTheLastBackwards(JournalStorage):
    """Yields the last event first."""

    def read(self, selection=EVERYTHING):
        events = super().read(selection)
        yield from events if selection.last is None else reversed(list(events))


@breaks("read.last_of_few")
class SlicesBeyondTheStart(JournalStorage):
    """Slices with a start that may be negative, and so counts from the wrong end."""

    def read(self, selection=EVERYTHING):
        events = list(super().read(evolve(selection, last=None)))
        start = 0 if selection.last is None else len(events) - selection.last
        yield from events[start:]


@breaks("read.combined")
class LimitsBeforeItFilters(_Filters):
    """Counts also what the types, the time and the run leave out."""


@breaks("read.as_listed")
class ForgetsTheTimeInARun(_Widens):
    """Does not look at `since` when types of a run are asked for."""

    def wider(self, selection):
        is_forgotten = selection.run is not None and selection.types
        return evolve(selection, since=None) if is_forgotten else selection


@breaks("read.resumed")
class ForgetsARunBeforeItsResumption(JournalStorage):
    """Yields of a resumed run what came since."""

    def __init__(self, path):
        super().__init__(path)
        self.begins = {}

    def start_run(self, run):
        self.begins[run.run_id] = self.wait(0, 0)
        return super().start_run(run)

    def read(self, selection=EVERYTHING):
        after = max(selection.after, self.begins.get(selection.run, 0))
        yield from super().read(evolve(selection, after=after))


@breaks("runs.told_apart")
class TakesSignsInRunIdsForTheSame(JournalStorage):
    """Finds the events of a run under a name in which dots and dashes are underscores."""

    def read(self, selection=EVERYTHING):
        wanted = selection.run and re.sub("[.-]", "_", selection.run)
        for event in super().read(evolve(selection, run=None)):
            if wanted is None or wanted == re.sub("[.-]", "_", event.run_id or ""):
                yield event


@breaks("model.same")
class ForgetsUntilOfAnythingElse(_Widens):
    """Looks at `until` only when nothing else is asked for."""

    def wider(self, selection):
        return (
            selection
            if selection == Selection(until=selection.until)
            else evolve(selection, until=None)
        )
