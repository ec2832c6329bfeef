"""Storages that are wrong about runs."""

from attrs import evolve

from telemetry_core.errors import NoActiveRunError, RunActiveError
from telemetry_core.runs import Run
from tests.core.kit.fault import breaks
from tests.core.kit.journal import JournalStorage

_STOPPED_AT = "2026-03-18T12:00:00.000Z"


class _Lists(JournalStorage):
    """Has in `runs` what `listed` makes of each run."""

    def runs(self):
        return map(self.listed, list(super().runs()))


class _Resumes(JournalStorage):
    """Answers the start of a run that there was before with what `resumed` makes of it."""

    def start_run(self, run):
        is_known = run.run_id in {one.run_id for one in self.runs()}
        kept = super().start_run(run)
        return self.resumed(kept, run) if is_known else kept


@breaks("runs.none")
class BeginsWithARun(JournalStorage):
    """Has a run in the beginning."""

    def runs(self):
        first = Run(run_id="M1", started_at=_STOPPED_AT, stopped_at=_STOPPED_AT, status="lost")
        return iter(list(super().runs()) or [first])


@breaks("runs.start")
class FoldsTheCaseOfRunIds(JournalStorage):
    """Keeps run ids in lower case."""

    def start_run(self, run):
        return super().start_run(evolve(run, run_id=run.run_id.lower()))


@breaks("runs.meta")
class KeepsFlatMetaOfRuns(JournalStorage):
    """Keeps of the meta of a run what is no object or list."""

    def start_run(self, run):
        flat = {name: one for name, one in run.meta.items() if not isinstance(one, dict | list)}
        return super().start_run(evolve(run, meta=flat))


@breaks("runs.directory")
class ForgetsTheDirectory(_Resumes):
    """Resumes a run in another place."""

    def resumed(self, kept, run):
        return evolve(kept, directory=run.directory)


@breaks("runs.one_active")
class StartsAnActiveRunAgain(JournalStorage):
    """Returns the active run to who starts it once more."""

    def start_run(self, run):
        try:
            return super().start_run(run)
        except RunActiveError as error:
            if error.run.run_id == run.run_id:
                return error.run
            raise


@breaks("runs.one_active")
class GivesWayToANewRun(JournalStorage):
    """Finishes the active run when another one starts."""

    def start_run(self, run):
        active = self.active_run()
        if active is not None and active.run_id != run.run_id:
            self.finish_run(active.stopped(_STOPPED_AT, status="lost"))
        return super().start_run(run)


@breaks("runs.counts")
class CountsAtTheEnd(_Lists):
    """Counts the events of a run when it is finished."""

    def listed(self, run):
        return evolve(run, events=0, first_seq=None, last_seq=None) if run.is_active else run


@breaks("runs.finish")
class ForgetsTheReason(JournalStorage):
    """Does not keep why a run ended."""

    def finish_run(self, run):
        return super().finish_run(evolve(run, reason=None))


@breaks("runs.final_counts")
class BelievesTheCaller(JournalStorage):
    """Answers with the counts that the caller's run has."""

    def finish_run(self, run):
        kept = super().finish_run(run)
        return evolve(kept, events=run.events, first_seq=run.first_seq, last_seq=run.last_seq)


@breaks("runs.finish_none")
class FinishesTwice(JournalStorage):
    """Returns a finished run to who finishes it once more."""

    def finish_run(self, run):
        try:
            return super().finish_run(run)
        except NoActiveRunError:
            for one in self.runs():
                if one.run_id == run.run_id and self.active_run() is None:
                    return one
            raise


@breaks("runs.finish_other")
class FinishesWhateverIsActive(JournalStorage):
    """Finishes the active run, whichever is meant."""

    def finish_run(self, run):
        active = self.active_run() or run
        return super().finish_run(evolve(run, run_id=active.run_id))


@breaks("runs.resume")
class StartsAResumedRunAnew(_Resumes):
    """Answers with the new start of a run that is resumed."""

    def resumed(self, kept, run):
        return evolve(kept, started_at=run.started_at)


@breaks("runs.resume_counts")
class CountsAResumedRunAnew(_Resumes):
    """Begins to count when a run is resumed."""

    def resumed(self, kept, run):
        return evolve(kept, events=run.events, first_seq=None, last_seq=None)


@breaks("runs.resume_meta")
class ReplacesTheMetaOfAResumedRun(_Resumes):
    """Has the new meta of a resumed run only."""

    def resumed(self, kept, run):
        return evolve(kept, meta=run.meta)


@breaks("runs.order")
class SortsRunsByName(JournalStorage):
    """Lists runs in the order of the alphabet."""

    def runs(self):
        return iter(sorted(super().runs(), key=lambda run: run.run_id))


@breaks("runs.next_id")
class CountsTheRuns(JournalStorage):
    """Takes the number of runs for the highest number of a run."""

    def next_run_id(self):
        return f"{len(list(self.runs())) + 1:03d}"


@breaks("runs.reopen_active", "recorder.reopen")
class LosesTheActiveRun(JournalStorage):
    """Finishes a run that was active when it is opened."""

    def __init__(self, path):
        super().__init__(path)
        active = self.active_run()
        if active is not None:
            self.finish_run(active.stopped(_STOPPED_AT, status="lost"))


@breaks("runs.reopen_finished")
class ForgetsReasonsOnReopen(_Lists):
    """Knows why a run ended until it is closed."""

    def __init__(self, path):
        super().__init__(path)
        self.before = {run.run_id for run in super(_Lists, self).runs()}

    def listed(self, run):
        return evolve(run, reason=None) if run.run_id in self.before else run
