"""Random days: a recorder over NDJSON files beside the model, through crashes and torn files."""

import itertools
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import telemetry_core
from telemetry_core import Draft
from telemetry_core.clock import parse_ts
from tests.faults.driver import IS_LONG, event_files
from tests.faults.model import Model, kept

TYPES = ["weather", "power", "a/b ☃"]
RUNS = ["001", "M42"]
ZONES = ["UTC", "Europe/Berlin", "Pacific/Auckland"]
HOURS = [0.01, 1, 11.9, 24, -0.5, -26, -24 * 400]
DST = ["2026-03-29T00:59:59Z", "2026-10-25T00:30:00Z", "2026-04-04T13:59:59Z"]
GARBAGE = [b"{", b'{"seq":7,"ts":"2026', bytes(100), b"\xff\xfe garbage", b'{"seq":1}', b"7"]
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

wishes = st.fixed_dictionaries(
    {
        "type": st.sampled_from(TYPES),
        "stream": st.sampled_from([None, None, "site"]),
        "make_current": st.sampled_from([True, True, False]),
        "store_permanently": st.sampled_from([True, True, True, False]),
    }
)
ids = st.sampled_from(["a", "b", "c"])


class Days(RuleBasedStateMachine):
    """What may happen to a site directory, in any order."""

    def __init__(self):
        super().__init__()
        self._place = Path(tempfile.mkdtemp(dir=MEMORY))
        self._names = itertools.count()
        self._numbers = itertools.count()
        self._site = self._place / "site"
        self._now_ns = parse_ts("2026-03-28T10:00:00Z")[1]
        self._zone = ZONES[0]
        self._model = Model()
        self._open()

    def _open(self):
        self._recorder = telemetry_core.open(
            self._site,
            timezone=self._zone,
            durability="os",
            sync_interval_s=3600.0,
            clock=self._clock,
        )
        self._model.reopen()

    def _clock(self):
        self._now_ns += 1_000_000
        return self._now_ns

    def _take(self, event, wish):
        """Hold one answer against the model."""
        before = self._model.known(event.id)
        assert event.is_duplicate is (before is not None)
        if before is not None:
            assert kept(event) == before
            return
        assert event.seq > self._model.last_seq
        run_id = None if wish["stream"] == "site" else self._model.active
        assert (event.type, event.data, event.run_id) == (wish["type"], wish["data"], run_id)
        self._model.take(kept(event))

    @rule(wish=wishes)
    def record(self, wish):
        """Record one event."""
        wish = {**wish, "data": next(self._numbers)}
        self._take(self._recorder.record(**wish), wish)

    @rule(event_id=ids, stream=st.sampled_from([None, "site"]))
    def record_with_id(self, event_id, stream):
        """Record an event with an id, or try again one that was recorded."""
        wish = {"type": TYPES[0], "data": [event_id], "stream": stream}
        self._take(self._recorder.record(**wish, id=event_id), wish)

    @rule(batch=st.lists(wishes, max_size=5))
    def record_many(self, batch):
        """Record a batch, which may go to two files."""
        batch = [{**wish, "data": {"n": next(self._numbers)}} for wish in batch]
        events = self._recorder.record_many(Draft(**wish) for wish in batch)
        assert len(events) == len(batch)
        for event, wish in zip(events, batch, strict=True):
            self._take(event, wish)

    @rule(run_id=st.sampled_from(RUNS))
    def start_run(self, run_id):
        """Start a run, or resume one."""
        if self._model.active is not None:
            with pytest.raises(telemetry_core.RunActiveError):
                self._recorder.start_run(run_id)
            return
        self._recorder.start_run(run_id)
        self._model.start(run_id)

    @precondition(lambda self: self._model.active is not None)
    @rule()
    def stop_run(self):
        """Stop the active run."""
        self._recorder.stop_run()
        self._model.stop()

    @rule(hours=st.sampled_from(HOURS))
    def step_the_clock(self, hours):
        """Let time pass, or the clock be set back."""
        self._now_ns += int(hours * 3600e9)

    @rule(ts=st.sampled_from(DST))
    def go_to_summer_time(self, ts):
        """Come to a night in which some zone changes its clocks."""
        self._now_ns = parse_ts(ts)[1]

    @rule(zone=st.sampled_from(ZONES))
    def reopen(self, zone):
        """Close and open again, in the same or another zone."""
        self._recorder.close()
        self._zone = zone
        self._open()

    @rule()
    def crash(self):
        """Go on with what stands in the files, as after a kill -9."""
        self._crash()
        self._open()

    @rule(garbage=st.sampled_from(GARBAGE), is_crash=st.booleans())
    def tear(self, garbage, is_crash):
        """Find half a line at the end of the file that was written last."""
        self._crash() if is_crash else self._recorder.close()
        path = self._open_file()
        if path is not None:
            with path.open("ab") as file:
                file.write(garbage)
        self._open()

    @precondition(lambda self: self._model.is_last_in_open_file())
    @rule(share=st.floats(0, 1))
    def lose_the_last_line(self, share):
        """Find the last line cut, as after a power cut."""
        self._crash()
        path = self._open_file()
        content = path.read_bytes()
        length = len(content) - (content.rfind(b"\n", 0, -1) + 1)
        cut = max(1, round(share * length))
        path.write_bytes(content[:-cut])
        if cut > 1:  # without its line break alone it is still whole
            self._model.lose_last()
        self._open()

    @rule(is_crash=st.booleans())
    def delete_our_own_files(self, is_crash):
        """Find `.telemetry` gone."""
        self._crash() if is_crash else self._recorder.close()
        shutil.rmtree(self._site / ".telemetry")
        self._model.forget_ephemeral()
        self._open()

    @rule(
        where=st.sampled_from([{}, {}, {"stream": "site"}, {"run": RUNS[0]}, {"run": RUNS[1]}]),
        types=st.lists(st.sampled_from(TYPES), max_size=2),
        end=st.sampled_from([{}, {"limit": 2}, {"last": 2}, {"last": 0}]),
        at=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
        bounds=st.sets(st.sampled_from(["after", "since", "until"])),
    )
    def read(self, where, types, end, at, bounds):
        """Read a part of the history."""
        selection = {**where, **end, **({"types": types} if types else {})}
        for name, share in zip(["after", "since", "until"], at, strict=True):
            if name in bounds and self._model.events:
                one = self._model.events[int(share * (len(self._model.events) - 1))]
                selection[name] = one.seq if name == "after" else one.ts
        found = [kept(event) for event in self._recorder.history(**selection)]
        assert found == self._model.select(selection), f"{selection!r}"

    @rule()
    def read_from_outside(self):
        """Read without the lock what the recorder has written."""
        with telemetry_core.open(self._site, read_only=True) as reader:
            assert [kept(event) for event in reader.history()] == self._model.events
            active = reader.active_run()
            assert (None if active is None else active.run_id) == self._model.active

    @invariant()
    def everything_is_as_in_the_model(self):
        """History, current and runs, after each step."""
        assert [kept(event) for event in self._recorder.history()] == self._model.events
        found = {type_: kept(event) for type_, event in self._recorder.current().items()}
        for type_, one in found.items():
            # Whether it is ephemeral is not remembered over a restart by every storage.
            found[type_] = next((k for k in self._model.ephemeral if k.seq == one.seq), one)
        assert found == self._model.current(found)
        active = self._recorder.active_run()
        assert (None if active is None else active.run_id) == self._model.active
        runs = {run.run_id: run for run in self._recorder.runs()}
        assert {id_: run.is_active for id_, run in runs.items()} == self._model.runs
        for id_ in runs.keys() - self._model.miscounted:
            counted = sum(one.run_id == id_ for one in self._model.events)
            assert runs[id_].events == counted

    @invariant()
    def seq_rises_in_every_file(self):
        """And every line is JSON."""
        for path in event_files(self._site):
            seqs = [json.loads(line)["seq"] for line in path.read_bytes().splitlines()]
            assert seqs == sorted(set(seqs))

    def teardown(self):
        """Remove what was written."""
        self._recorder.close()
        shutil.rmtree(self._place)

    def _crash(self):
        """Leave the recorder as it is and go on with a copy of its files."""
        copy = self._place / f"copy {next(self._names)}"
        shutil.copytree(self._site, copy)
        self._recorder.close()
        self._site = copy

    def _open_file(self):
        """Return the file of the last stored event, if it was open for more."""
        if not self._model.is_last_in_open_file():
            return None
        begin = b'{"seq":%d,' % self._model.events[-1].seq
        for path in event_files(self._site):
            if path.read_bytes().rpartition(b"\n")[0].rpartition(b"\n")[2].startswith(begin):
                return path
        message = f"no file ends with a line that begins with {begin!r}"
        raise AssertionError(message)


@pytest.mark.timeout(3600 if IS_LONG else 60)
def test_any_day_is_as_the_model_says():
    """Whatever happens in whatever order."""
    run_state_machine_as_test(
        Days,
        settings=settings(
            max_examples=2000 if IS_LONG else 40,
            stateful_step_count=40 if IS_LONG else 20,
            derandomize=not IS_LONG,
            database=None,
            # The shortest way to a fault is worth minutes only where there is time for them.
            phases=[Phase.generate, Phase.shrink] if IS_LONG else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
