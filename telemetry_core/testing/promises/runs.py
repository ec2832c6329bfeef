"""What runs promise: at most one is active, and none is forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from telemetry_core.errors import NoActiveRunError, RunActiveError
from telemetry_core.runs import Run
from telemetry_core.storage import Storage
from telemetry_core.testing.promise import OpenStorage, PromiseTests, promise
from telemetry_core.testing.samples import (
    STARTED_AT,
    STOPPED_AT,
    append,
    append_numbers,
    data_of,
    make_draft,
    make_run,
    stop,
)


def _counts(run: Run | None) -> tuple[int, int | None, int | None]:
    assert run is not None, "no run is active"
    return run.events, run.first_seq, run.last_seq


def _run_ids(storage: Storage) -> list[str]:
    return [run.run_id for run in storage.runs()]


class RunTests(PromiseTests):
    """The promises `runs.…`."""

    @promise("runs.none")
    def test_a_new_storage_has_no_run(self, open_storage: OpenStorage) -> None:
        """A new storage has no run and no active one."""
        with open_storage() as storage:
            assert list(storage.runs()) == []
            assert storage.active_run() is None

    @promise("runs.start")
    def test_a_started_run_is_active(self, open_storage: OpenStorage) -> None:
        """A started run is returned as it was kept, is the active one and stands in `runs`."""
        with open_storage() as storage:
            kept = storage.start_run(make_run("M42.night_1-a"))
            assert (kept.run_id, kept.started_at) == ("M42.night_1-a", STARTED_AT)
            assert (kept.is_active, kept.status, kept.stopped_at) == (True, "active", None)
            assert storage.active_run() == kept
            assert list(storage.runs()) == [kept]

    @promise("runs.meta")
    def test_a_run_keeps_its_meta(self, open_storage: OpenStorage) -> None:
        """The meta of a run is any JSON object, and is kept as it was given."""
        with open_storage() as storage:
            meta: dict[str, Any] = {
                "target": "M42 \N{EN DASH} \N{OHM SIGN}",
                "nested": {"list": [1, 2.5, None, True]},
                "big": 2**64 - 1,
            }
            kept = storage.start_run(make_run(**meta))
            assert kept.meta == {**meta, "run_id": "001"}
            assert [run.meta for run in storage.runs()] == [kept.meta]
            assert stop(storage, kept).meta == kept.meta

    @promise("runs.directory")
    def test_a_run_keeps_its_directory(self, open_storage: OpenStorage) -> None:
        """The directory a run asked for is kept with it, also when it is resumed without one."""
        with open_storage() as storage:
            run = storage.start_run(make_run(directory="nights/first"))
            assert run.directory == "nights/first"
            stop(storage, run)
            assert storage.start_run(make_run()).directory == "nights/first"
            assert [one.directory for one in storage.runs()] == ["nights/first"]

    @promise("runs.one_active")
    def test_a_second_run_is_refused(self, open_storage: OpenStorage) -> None:
        """While a run is active another start, of whatever id, raises `RunActiveError`."""
        with open_storage() as storage:
            storage.start_run(make_run("001"))
            append_numbers(storage, 1, run_id="001")
            for run_id in ("002", "001"):
                with pytest.raises(RunActiveError) as refused:
                    storage.start_run(make_run(run_id, target="other"))
                assert refused.value.run.run_id == "001"
            active = storage.active_run()
            assert list(storage.runs()) == [active]
            assert active is not None
            assert active.meta == {"run_id": "001"}
            append_numbers(storage, 2, run_id="001")
            assert data_of(storage, run="001") == [1, 2]

    @promise("runs.counts")
    def test_an_active_run_counts_its_events(self, open_storage: OpenStorage) -> None:
        """The active run counts the events of its stream and knows the first and last seq."""
        with open_storage() as storage:
            assert _counts(storage.start_run(make_run())) == (0, None, None)
            append_numbers(storage, 0)
            first, *_, last = append_numbers(storage, 1, 2, 3, run_id="001")
            append_numbers(storage, 4)
            counts = (3, first.seq, last.seq)
            assert _counts(storage.active_run()) == counts
            assert [_counts(run) for run in storage.runs()] == [counts]

    @promise("runs.finish")
    def test_a_finished_run_is_not_active(self, open_storage: OpenStorage) -> None:
        """A finished run keeps when and how it ended, and none is active any more."""
        with open_storage() as storage:
            for run_id, status, reason in (
                ("001", "completed", None),
                ("002", "failed", "no power: é"),
                ("003", "aborted", "clouds"),
                ("004", "lost", "its owner went away"),
            ):
                run = storage.start_run(make_run(run_id))
                kept = stop(storage, run, status=status, reason=reason)
                found = (kept.run_id, kept.stopped_at, kept.status, kept.reason)
                assert found == (run_id, STOPPED_AT, status, reason)
                assert storage.active_run() is None
                assert next(one for one in storage.runs() if one.run_id == run_id) == kept

    @promise("runs.final_counts")
    def test_a_finished_run_has_its_final_counts(self, open_storage: OpenStorage) -> None:
        """Finishing counts what the storage has, whatever the caller's run says."""
        with open_storage() as storage:
            run = storage.start_run(make_run())
            first, last = append_numbers(storage, 1, 2, run_id="001")
            append_numbers(storage, 3)
            counts = (2, first.seq, last.seq)
            assert _counts(stop(storage, run)) == counts
            assert [_counts(one) for one in storage.runs()] == [counts]

    @promise("runs.finish_none")
    def test_nothing_to_finish_is_refused(self, open_storage: OpenStorage) -> None:
        """Finishing while no run is active, also twice, raises `NoActiveRunError`."""
        with open_storage() as storage:
            with pytest.raises(NoActiveRunError):
                stop(storage, make_run())
            assert list(storage.runs()) == []
            finished = stop(storage, storage.start_run(make_run()))
            with pytest.raises(NoActiveRunError):
                stop(storage, make_run(), status="failed")
            assert list(storage.runs()) == [finished]

    @promise("runs.finish_other")
    def test_finishing_another_run_is_refused(self, open_storage: OpenStorage) -> None:
        """Finishing a run that is not the active one raises `NoActiveRunError`; both stay."""
        with open_storage() as storage:
            finished = stop(storage, storage.start_run(make_run("001")))
            active = storage.start_run(make_run("002"))
            for run_id in ("001", "unknown"):
                with pytest.raises(NoActiveRunError):
                    stop(storage, make_run(run_id), status="failed")
            assert storage.active_run() == active
            assert next(run for run in storage.runs() if run.run_id == "001") == finished

    @promise("runs.resume")
    def test_a_used_id_resumes_its_run(self, open_storage: OpenStorage) -> None:
        """An id used before resumes that run: its first start stays, and it is active again."""
        with open_storage() as storage:
            stop(storage, storage.start_run(make_run()), status="failed", reason="no power")
            kept = storage.start_run(make_run(started_at="2026-03-19T00:00:00.000Z"))
            assert (kept.started_at, kept.is_active) == (STARTED_AT, True)
            assert (kept.stopped_at, kept.status, kept.reason) == (None, "active", None)
            assert storage.active_run() == kept
            assert list(storage.runs()) == [kept]

    @promise("runs.resume_counts")
    def test_a_resumed_run_goes_on_counting(self, open_storage: OpenStorage) -> None:
        """A resumed run goes on from the counts it had."""
        with open_storage() as storage:
            run = storage.start_run(make_run())
            first, second = append_numbers(storage, 1, 2, run_id="001")
            stop(storage, run)
            append_numbers(storage, 3)
            run = storage.start_run(make_run())
            assert _counts(run) == (2, first.seq, second.seq)
            (last,) = append_numbers(storage, 4, run_id="001")
            assert _counts(storage.active_run()) == (3, first.seq, last.seq)
            assert _counts(stop(storage, run)) == (3, first.seq, last.seq)

    @promise("runs.resume_meta")
    def test_a_resumed_run_lays_its_meta_over(self, open_storage: OpenStorage) -> None:
        """The meta a run is resumed with is laid over the meta it had, key by key."""
        with open_storage() as storage:
            stop(storage, storage.start_run(make_run(a=1, b={"x": 1})))
            kept = storage.start_run(make_run(b={"y": 2}, c=3))
            assert kept.meta == {"run_id": "001", "a": 1, "b": {"y": 2}, "c": 3}
            assert [run.meta for run in storage.runs()] == [kept.meta]

    @promise("runs.order")
    def test_runs_come_in_the_order_of_their_first_start(self, open_storage: OpenStorage) -> None:
        """`runs` yields every run once, in the order they were first started."""
        with open_storage() as storage:
            for number, run_id in enumerate(["b", "a", "c", "b"]):
                started_at = f"2026-03-18T0{number}:00:00.000Z"
                stop(storage, storage.start_run(make_run(run_id, started_at=started_at)))
            assert _run_ids(storage) == ["b", "a", "c"]

    @promise("runs.next_id")
    def test_the_next_run_id_is_the_next_number(self, open_storage: OpenStorage) -> None:
        """`next_run_id` is the number after the highest run id that is one: `001`, `002`, …."""
        with open_storage() as storage:
            found = [storage.next_run_id()]
            for run_id in ("M42", "009", "7", "999", "010"):
                stop(storage, storage.start_run(make_run(run_id)))
                found.append(storage.next_run_id())
            assert found == ["001", "001", "010", "010", "1000", "1000"]

    @promise("runs.told_apart")
    def test_run_ids_are_told_apart(self, open_storage: OpenStorage) -> None:
        """Runs whose ids differ are different runs: `1`, `01` and `001`; `a-b`, `a.b` and `a_b`."""
        run_ids = ["1", "01", "001", "a-b", "a.b", "a_b", "x" * 128]
        with open_storage() as storage:
            for number, run_id in enumerate(run_ids):
                started_at = f"2026-03-18T0{number}:00:00.000Z"
                run = storage.start_run(make_run(run_id, started_at=started_at))
                append_numbers(storage, number, run_id=run_id)
                stop(storage, run)
            assert _run_ids(storage) == run_ids
            found = [data_of(storage, run=run_id) for run_id in run_ids]
            assert found == [[number] for number in range(len(run_ids))]

    @promise("runs.reopen_active", needs="durable")
    def test_an_active_run_survives_a_reopen(self, open_storage: OpenStorage) -> None:
        """A run that was active is active after a reopen, with its counts, and goes on."""
        with open_storage() as storage:
            storage.start_run(make_run(target="M42"))
            first, _ = append_numbers(storage, 1, 2, run_id="001")
            before = storage.active_run()
        with open_storage() as storage:
            assert storage.active_run() == before
            (last,) = append(storage, make_draft(data=3, run_id="001"))
            assert _counts(storage.active_run()) == (3, first.seq, last.seq)
            assert data_of(storage, run="001") == [1, 2, 3]
            with pytest.raises(RunActiveError):
                storage.start_run(make_run("002"))

    @promise("runs.reopen_finished", needs="durable")
    def test_a_finished_run_survives_a_reopen(self, open_storage: OpenStorage) -> None:
        """Finished runs are after a reopen what they were, and the next id goes on."""
        with open_storage() as storage:
            run = storage.start_run(make_run(target="M42"))
            append_numbers(storage, 1, 2, run_id="001")
            finished = stop(storage, run, status="failed", reason="no power")
        with open_storage() as storage:
            assert storage.active_run() is None
            assert list(storage.runs()) == [finished]
            assert storage.next_run_id() == "002"
            assert data_of(storage, run="001") == [1, 2]
