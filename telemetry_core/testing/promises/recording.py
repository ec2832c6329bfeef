"""What a storage promises through a recorder, whose users come from many threads."""

from __future__ import annotations

import threading

from telemetry_core.errors import RunActiveError
from telemetry_core.events import Draft
from telemetry_core.recorder import Recorder
from telemetry_core.runs import Run
from telemetry_core.testing.calls import Call
from telemetry_core.testing.promise import OpenStorage, PromiseTests, promise
from telemetry_core.testing.samples import is_ascending, seqs_of

_THREADS = 4
_EACH = 25


class RecorderTests(PromiseTests):
    """The promises `recorder.…`."""

    @promise("recorder.threads")
    def test_many_threads_may_record(self, open_storage: OpenStorage) -> None:
        """What several threads record at once is stored once each, in each thread's order."""
        with Recorder(open_storage()) as recorder:

            def record(thread: int) -> list[int]:
                return [recorder.record(f"t{thread}", number).seq for number in range(_EACH)]

            calls = [Call(lambda thread=thread: record(thread)) for thread in range(_THREADS)]  # type: ignore[misc]
            given = [call.result(self.patience_s) for call in calls]
            events = list(recorder.history())
            assert is_ascending(seqs_of(events))
            for thread, seqs in enumerate(given):
                mine = [event for event in events if event.type == f"t{thread}"]
                assert [event.data for event in mine] == list(range(_EACH))
                assert seqs_of(mine) == seqs
            assert len(events) == _THREADS * _EACH

    @promise("recorder.race")
    def test_one_of_many_starts_wins(self, open_storage: OpenStorage) -> None:
        """Of several threads that start a run at once exactly one wins; the others are told who."""
        with Recorder(open_storage()) as recorder:
            together = threading.Barrier(_THREADS)

            def start(run_id: str) -> Run | RunActiveError:
                together.wait(self.patience_s)
                try:
                    return recorder.start_run(run_id)
                except RunActiveError as error:
                    return error

            calls = [Call(lambda run_id=f"r{n}": start(run_id)) for n in range(_THREADS)]  # type: ignore[misc]
            answers = [call.result(self.patience_s) for call in calls]
            winners = [answer.run_id for answer in answers if isinstance(answer, Run)]
            assert len(winners) == 1
            told = [one.run.run_id for one in answers if isinstance(one, RunActiveError)]
            assert told == winners * (_THREADS - 1)
            assert [run.run_id for run in recorder.runs()] == winners

    @promise("recorder.current")
    def test_current_knows_ephemeral_events(self, open_storage: OpenStorage) -> None:
        """A recorder's `current` shows ephemeral events until a later event of the type comes."""
        with Recorder(open_storage()) as recorder:
            recorder.record("weather", 1)
            (event,) = recorder.record_many([Draft("weather", 2, store_permanently=False)])
            recorder.record("power", 3, store_permanently=False)
            recorder.record("power", 4, store_permanently=False, make_current=False)
            snapshot = recorder.current()
            assert {type_: one.data for type_, one in snapshot.items()} == {
                "weather": 2,
                "power": 3,
            }
            assert snapshot["weather"] == event
            assert snapshot.as_of_seq >= event.seq
            recorder.record("weather", 5)
            assert recorder.current()["weather"].data == 5
            assert [one.data for one in recorder.history()] == [1, 5]

    @promise("recorder.routing")
    def test_a_run_divides_the_stream(self, open_storage: OpenStorage) -> None:
        """What is recorded during a run is in the run's stream, what follows in the site's."""
        with Recorder(open_storage()) as recorder:
            recorder.record("weather", 1)
            with recorder.run(meta={"target": "M42"}) as run:
                recorder.record("weather", 2)
                recorder.record("weather", 3, stream="site")
            recorder.record("weather", 4)
            assert [event.data for event in recorder.history(run=run.run_id)] == [2]
            assert [event.data for event in recorder.history(stream="site")] == [1, 3, 4]
            assert recorder.find_run(run.run_id).events == 1

    @promise("recorder.shared", needs="shared_writers")
    def test_a_run_of_another_recorder_is_followed(self, open_storage: OpenStorage) -> None:
        """What is recorded goes to the run that another recorder started, until it is stopped."""
        with Recorder(open_storage()) as one, Recorder(open_storage(), site_types="dome") as other:
            other.record("weather", 0)
            for run_id in ("a", "b"):
                if one.active_run() is not None:
                    one.stop_run()
                one.start_run(run_id)
                other.record("weather", run_id, meta={"source": "rs232"})
                other.record("weather", run_id)
                other.record("dome", run_id)
                other.record("weather", f"site {run_id}", stream="site")
            one.stop_run()
            last = other.record("weather", 1, meta={"source": "rs232"})
            assert [event.data for event in one.history(run="a")] == ["a", "a"]
            assert [event.data for event in one.history(run="b")] == ["b", "b"]
            of_site = [event.data for event in one.history(stream="site")]
            assert of_site == [0, "a", "site a", "b", "site b", 1]
            assert last.meta == {"source": "rs232"}
            first, second, *_ = one.history(run="a")
            assert (first.meta, second.meta) == (
                {"source": "rs232", "run_id": "a"},
                {"run_id": "a"},
            )

    @promise("recorder.shared_block", needs="shared_writers")
    def test_a_block_follows_a_run_of_another_recorder(self, open_storage: OpenStorage) -> None:
        """So does a block of events: it goes to the run that another recorder started."""
        texts = [b'{"type": "power", "data": %d}' % n for n in range(20)]
        with Recorder(open_storage()) as one, Recorder(open_storage()) as other:
            one.start_run("a")
            other.record_json(texts)
            one.stop_run()
            other.record_json(texts)
            for stream in ({"run": "a"}, {"stream": "site"}):
                assert [event.data for event in one.history(**stream)] == [*range(20)]

    @promise("recorder.follow")
    def test_following_leaves_no_gap(self, open_storage: OpenStorage) -> None:
        """A follower gets what was there and what comes, each once and in order."""
        with Recorder(open_storage()) as recorder:
            recorder.record_many([Draft("weather", number) for number in range(10)])

            def follow() -> list[int]:
                found = []
                for event in recorder.follow(after=0, types="weather"):
                    found.append(event.data)
                    if len(found) == 10 + _EACH:
                        break
                return found

            calls = [Call(follow) for _ in range(2)]
            for number in range(10, 10 + _EACH):
                recorder.record("power", number)
                recorder.record("weather", number, store_permanently=True)
                recorder.record("weather", number, store_permanently=False)
            for call in calls:
                assert call.result(self.patience_s) == list(range(10 + _EACH))

    @promise("recorder.reopen", needs="durable")
    def test_a_recorder_goes_on_after_a_reopen(self, open_storage: OpenStorage) -> None:
        """A recorder opened again goes on in the active run, above every seq given before."""
        with Recorder(open_storage()) as recorder:
            recorder.start_run("001")
            before = [recorder.record("weather", number) for number in range(3)]
        with Recorder(open_storage()) as recorder:
            after = recorder.record("weather", 3)
            assert is_ascending(seqs_of([*before, after]))
            assert [event.data for event in recorder.history(run="001")] == [0, 1, 2, 3]
            assert recorder.stop_run().events == 4
