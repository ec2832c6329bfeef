"""What survives the sudden death of the writing process."""

from __future__ import annotations

from collections import Counter

from telemetry_core.storage import Storage
from telemetry_core.testing.killed import Report, reports_of_killed
from telemetry_core.testing.promise import OpenStorage, PromiseTests, promise
from telemetry_core.testing.samples import (
    append,
    append_numbers,
    current_data,
    data_of,
    is_ascending,
    make_draft,
    make_run,
    seqs_of,
    stored,
)


class CrashTests(PromiseTests):
    """The promises `crash.…`, of a process that is killed and could not close."""

    @promise("crash.events", needs="durable")
    def test_acknowledged_events_survive_a_kill(self, open_storage: OpenStorage) -> None:
        """What `append` returned before a kill -9 is there on reopen, each event exactly once."""

        def work(storage: Storage, report: Report) -> None:
            storage.start_run(make_run())
            for number in range(100_000):
                run_id = "001" if number % 2 else None
                (event,) = append_numbers(storage, number, run_id=run_id)
                report([event.seq, number])

        reports = reports_of_killed(open_storage, work, after=30, patience_s=self.patience_s)
        with open_storage() as storage:
            found = [(event.seq, event.data) for event in stored(storage)]
            assert is_ascending([seq for seq, _ in found])
            twice = [number for number, times in Counter(n for _, n in found).items() if times > 1]
            assert twice == []
            missing = {(seq, number) for seq, number in reports} - set(found)
            assert missing == set(), f"acknowledged and lost: {sorted(missing)!r}"
            _, after = append_numbers(storage, -1, -2)
            assert stored(storage)[-1] == after

    @promise("crash.seq", needs="durable")
    def test_no_seq_is_given_again_after_a_kill(self, open_storage: OpenStorage) -> None:
        """After a kill -9 every seq is above all that were given, also to ephemeral events."""

        def work(storage: Storage, report: Report) -> None:
            report(seqs_of(append_numbers(storage, 1, 2)))
            report(seqs_of(append(storage, make_draft(store_permanently=False))))

        before: list[int] = []
        for _ in range(2):
            reports = reports_of_killed(open_storage, work, after=2, patience_s=self.patience_s)
            before += reports[0] + reports[1]
        with open_storage() as storage:
            after = seqs_of(append_numbers(storage, 3))
        assert is_ascending(before + after), f"seqs were given again: {before!r}, {after!r}"

    @promise("crash.runs", needs="durable")
    def test_runs_survive_a_kill(self, open_storage: OpenStorage) -> None:
        """After a kill -9 finished runs are finished and the active one is active, all counted."""

        def work(storage: Storage, report: Report) -> None:
            run = storage.start_run(make_run("001"))
            append_numbers(storage, 1, run_id="001")
            storage.finish_run(run.stopped("2026-03-18T01:00:00.000Z", status="failed"))
            storage.start_run(make_run("002", started_at="2026-03-18T02:00:00.000Z", target="M42"))
            append_numbers(storage, 2, 3, run_id="002")
            report("done")

        reports_of_killed(open_storage, work, after=1, patience_s=self.patience_s)
        with open_storage() as storage:
            found = [(run.run_id, run.status, run.events) for run in storage.runs()]
            assert found == [("001", "failed", 1), ("002", "active", 2)]
            active = storage.active_run()
            assert active is not None
            assert active.meta == {"run_id": "002", "target": "M42"}
            append_numbers(storage, 4, run_id="002")
            assert data_of(storage, run="002") == [2, 3, 4]

    @promise("crash.current", needs="durable")
    def test_current_survives_a_kill(self, open_storage: OpenStorage) -> None:
        """After a kill -9 `current` has the latest stored event of each type that asked for it."""

        def work(storage: Storage, report: Report) -> None:
            append(storage, make_draft("a", 1), make_draft("b", 2))
            append(storage, make_draft("a", 3))
            append(storage, make_draft("b", 4, make_current=False))
            report("done")

        reports_of_killed(open_storage, work, after=1, patience_s=self.patience_s)
        with open_storage() as storage:
            assert current_data(storage) == {"a": 3, "b": 2}

    @promise("crash.ids", needs="durable")
    def test_ids_survive_a_kill(self, open_storage: OpenStorage) -> None:
        """After a kill -9 a retry with the same id is answered with the event stored before."""

        def work(storage: Storage, report: Report) -> None:
            report(seqs_of(append(storage, make_draft(data={"deg": 1}, id="a"), make_draft())))

        ((seq, _),) = reports_of_killed(open_storage, work, after=1, patience_s=self.patience_s)
        with open_storage() as storage:
            (event,) = append(storage, make_draft(data={"deg": 1}, id="a"))
            assert (event.seq, event.is_duplicate) == (seq, True)
            assert len(stored(storage)) == 2
