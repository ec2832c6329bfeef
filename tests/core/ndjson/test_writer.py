"""Numbering and appending: whole batches or nothing, whatever goes wrong in between."""

import ctypes
import itertools
import threading
import time

import pytest

from telemetry_core.blocks import DraftBlock
from telemetry_core.errors import NoActiveRunError, StorageFullError
from telemetry_core.testing.samples import data_of, make_draft, make_run, seqs_of, stop, stored
from tests.core.ndjson.sites import (
    DAY,
    append,
    at,
    files_up_to,
    fill_up,
    interrupted,
    lines_of,
    number,
    open_site,
    seqs_in,
    snapshot,
    ts_at,
)


@pytest.fixture(params=["os", "interval", "always"])
def any_durability(request, site):
    """Open a new site directory with each durability."""
    with open_site(site, durability=request.param) as one:
        yield one


def test_each_event_is_in_its_file_when_append_returns(site, any_durability):
    """Whatever the durability, the system has the line before the caller has the event."""
    first = number(any_durability, 1)
    assert seqs_in(site / DAY) == [first.seq]
    batch = append(any_durability, make_draft(), make_draft())
    assert seqs_in(site / DAY) == [first.seq, *seqs_of(batch)]


def test_a_line_has_the_fields_in_their_order(site, storage):
    """A sixth key stands only where it is needed."""
    append(storage, make_draft(data={"b": 1, "a": [1.5]}, meta={"x": "é"}))
    append(storage, make_draft(id="i", make_current=False))
    assert (site / DAY).read_text("utf-8") == (
        '{"seq":1,"ts":"2026-03-18T00:05:48.955Z","type":"weather","data":{"b":1,"a":[1.5]},'
        '"meta":{"x":"é"}}\n'
        '{"seq":2,"ts":"2026-03-18T00:05:48.955Z","type":"weather","data":null,"meta":{},'
        '"id":"i","current":false}\n'
    )


def test_a_batch_over_two_files_is_written_in_order_of_seq(site, storage):
    """Each event is in the file of its stream, under the seq of its place in the batch."""
    storage.start_run(make_run())
    runs = [None, "001", "001", None, "001"]
    events = append(storage, *(make_draft(data=n, run_id=run) for n, run in enumerate(runs)))
    assert [event.data for event in events] == [0, 1, 2, 3, 4]
    assert [one["data"] for one in lines_of(site / DAY)] == [0, 3]
    assert [one["data"] for one in lines_of(site / "001" / "telemetry.ndjson")] == [1, 2, 4]
    assert stored(storage) == events


def test_a_large_batch_is_written_whole(site, storage):
    """A batch of many pieces is one batch."""
    events = append(storage, *(make_draft(data="x" * 1000) for _ in range(500)))
    assert seqs_in(site / DAY) == seqs_of(events)


@pytest.mark.parametrize("way", ["append", "append_one"])
def test_a_failed_write_leaves_nothing(site, storage, way):
    """The event is in no file, not current, and its number goes to the next one or to nobody."""
    kept = number(storage, "kept")
    before = (site / DAY).read_bytes()
    draft = make_draft(data="x" * 200)
    with files_up_to(len(before) + 10), pytest.raises(StorageFullError, match="no room to write"):
        storage.append([draft], at(0)) if way == "append" else storage.append_one(draft, at(0))
    assert (site / DAY).read_bytes() == before
    assert snapshot(storage) == {"weather": kept.seq}
    after = number(storage, "after")
    assert after.seq > kept.seq
    assert stored(storage) == [kept, after]


def test_a_failed_batch_leaves_every_file_as_it_was(site, storage):
    """Of a batch over the site and a run nothing stays when the last part finds no room."""
    storage.start_run(make_run())
    number(storage, 1)
    number(storage, 2, run_id="001")
    paths = [site / DAY, site / "001" / "telemetry.ndjson"]
    before = [path.read_bytes() for path in paths]
    drafts = [make_draft(data=3, id="i"), make_draft(data="x" * 9000, run_id="001")]
    with files_up_to(5000), pytest.raises(StorageFullError):
        append(storage, *drafts)
    assert [path.read_bytes() for path in paths] == before
    assert storage.active_run().events == 1
    again = append(storage, make_draft(data=3, id="i"), make_draft(data=4, run_id="001"))
    assert [event.is_duplicate for event in again] == [False, False]
    assert data_of(storage) == [1, 2, 3, 4]


def test_numbers_of_a_failed_batch_are_not_given_again(site, storage):
    """Somebody who reads along may have seen its first lines, and would take others for known."""
    first = number(storage, 1)
    with files_up_to(200_000), pytest.raises(StorageFullError):
        append(storage, *(make_draft(data="x" * 1000) for _ in range(500)))
    assert seqs_in(site / DAY) == [first.seq]
    assert number(storage, 2).seq > first.seq + 500


def test_a_block_that_fails_leaves_nothing(site, storage):
    """Of its events none is kept or current, and its numbers are not given again."""
    first = number(storage, 1)
    block = DraftBlock(["weather"] * 300, ["x" * 1000] * 300, [ts_at(0)] * 300)
    with files_up_to(100_000), pytest.raises(StorageFullError):
        storage.append_block(block, at(0))
    assert seqs_in(site / DAY) == [first.seq]
    assert snapshot(storage) == {"weather": first.seq}
    assert number(storage, 2).seq > first.seq + 300


def test_a_refused_batch_costs_no_number(storage):
    """It was refused before anything was written."""
    first = number(storage, 1)
    with pytest.raises(NoActiveRunError):
        append(storage, make_draft(), make_draft(run_id="never"))
    assert number(storage, 2).seq == first.seq + 1


def fill_lines(storage):
    """Append until a line needs a new block of the disk, and there is none."""
    for _ in range(100):
        try:
            number(storage, "x" * 200)
        except StorageFullError as error:
            return error
    pytest.fail("nothing was refused")


def test_on_a_full_disk_recording_is_refused_and_goes_on_by_itself(small_disk):
    """The error says so, what was there stays, and no restart is needed when there is room."""
    with open_site(small_disk / "site") as storage:
        first = number(storage, 1)
        ballast = fill_up(small_disk)
        assert "No space left" in str(fill_lines(storage))
        with pytest.raises(StorageFullError):
            storage.check_writable()
        there = stored(storage)
        assert there[0] == first
        ballast.unlink()
        after = number(storage, 2)
        storage.check_writable()
        assert stored(storage) == [*there, after]


def test_on_a_full_disk_ephemeral_events_are_taken(small_disk):
    """They need no room, whether or not a file was open before."""
    with open_site(small_disk / "site") as storage:
        number(storage, 1)
    with open_site(small_disk / "site") as storage:
        fill_up(small_disk)
        for seconds in range(3000):
            number(storage, seconds, type="status", store_permanently=False, seconds=seconds)
        assert storage.current()["status"].data == 2999


def test_a_site_on_a_full_disk_can_be_opened(small_disk):
    """It is read, takes what needs no room, and goes on when there is some."""
    site = small_disk / "site"
    with open_site(site) as storage:
        storage.start_run(make_run())
        first = number(storage, 1)
    ballast = fill_up(small_disk)
    with open_site(site) as storage:
        assert stored(storage) == [first]
        assert storage.active_run().run_id == "001"
        number(storage, 2, type="status", store_permanently=False)
        ballast.unlink()
        second = number(storage, 3, run_id="001")
        assert stored(storage) == [first, second]
    with open_site(site) as storage:
        assert stored(storage) == [first, second]


def test_on_a_full_disk_a_new_day_waits_for_room(small_disk):
    """At noon a new file is needed; what is recorded then is refused until there is room."""
    with open_site(small_disk / "site") as storage:
        first = number(storage, 1)
        ballast = fill_up(small_disk)
        with pytest.raises(StorageFullError):
            number(storage, "x" * 5000, seconds=86400)
        ballast.unlink()
        second = number(storage, 2, seconds=86401)
        assert stored(storage) == [first, second]
        assert seqs_in(small_disk / "site" / "site_20260319.ndjson") == [second.seq]


def check_whole(site, acknowledged):
    """Check that each event is there once, in order, and that each line is whole."""
    files = [*site.glob("site_*.ndjson"), *site.glob("*/telemetry.ndjson")]
    with open_site(site) as storage:
        found = stored(storage)
        seqs = seqs_of(found)
        assert seqs == sorted(set(seqs)), "a seq was given twice"
        assert sorted(seqs) == sorted(seq for path in files for seq in seqs_in(path))
        kept = {event.seq: event for event in found}
        assert [one for one in acknowledged if one.store_permanently] == [
            kept.get(one.seq) for one in acknowledged if one.store_permanently
        ]
        assert len({event.data for event in found}) == len(found), "an event was stored twice"
        latest = {event.type: event.seq for event in found if event.make_current}
        assert {type_: snapshot(storage)[type_] for type_ in latest} == latest
        for run in storage.runs():
            of_run = seqs_of(stored(storage, run=run.run_id))
            counts = (len(of_run), min(of_run, default=None), max(of_run, default=None))
            assert (run.events, run.first_seq, run.last_seq) == counts


@pytest.mark.usefixtures("tidying_up")
@pytest.mark.parametrize("way", ["append", "append_one", "append_block"])
def test_an_interrupted_append_costs_nothing(site, storage, way):
    """Wherever a Ctrl-C comes: what was acknowledged is there once, no line is torn."""
    acknowledged = [number(storage, 0)]

    def append_one(n):
        # The second one goes the short way, because the first one has looked around.
        acknowledged.append(storage.append_one(make_draft(data=f"lost {n} a"), at(0)))
        acknowledged.append(storage.append_one(make_draft(data=f"lost {n} b"), at(0)))

    def append_batch(n):
        acknowledged.append(number(storage, f"lost {n}"))

    def append_block(n):
        block = DraftBlock(["weather"] * 2, [f"lost {n} a", f"lost {n} b"], [ts_at(0)] * 2)
        acknowledged.extend(storage.append_block(block, at(0)))

    ways = {"append": append_batch, "append_one": append_one, "append_block": append_block}
    for n in interrupted(ways[way]):
        acknowledged.append(number(storage, n))
    assert n > 10
    storage.close()
    check_whole(site, acknowledged)


@pytest.mark.usefixtures("tidying_up")
def test_an_interrupted_batch_costs_nothing(site, storage):
    """Also of a batch over two files, with ids, that looks around and finds noon passed."""
    storage.start_run(make_run())
    acknowledged = []
    times = iter(range(0, 10_000_000, 40_000))

    def batch(n):
        acknowledged.extend(
            append(
                storage,
                make_draft("a", f"a {n}", id=f"a {n}"),
                make_draft("b", f"b {n}", run_id="001"),
                make_draft("c", f"c {n}", store_permanently=False),
                make_draft("d", f"d {n}", make_current=False),
                seconds=next(times),
            )
        )

    for n in interrupted(batch):
        acknowledged.append(number(storage, n, seconds=next(times), run_id="001"))
    assert n > 50
    storage.close()
    check_whole(site, acknowledged)


@pytest.mark.usefixtures("tidying_up")
def test_two_interrupts_one_after_the_other_cost_nothing(site, storage):
    """Also the look that puts right what the first one left may be interrupted."""
    acknowledged = [number(storage, 0)]
    turn = iter(range(10**9))

    def leave_a_line():
        for _ in interrupted_after_write(storage, next(turn)):
            pass

    def again(n):
        acknowledged.append(number(storage, f"second {n}"))

    leave_a_line()
    for n in interrupted(again):
        acknowledged.append(number(storage, f"after {n}"))
        leave_a_line()
    storage.close()
    check_whole(site, acknowledged)


def interrupted_after_write(storage, turn):
    """Interrupt appends until one has left a line that nobody accounted for."""
    path = next(storage_path(storage).glob("site_*.ndjson"))
    before = path.stat().st_size
    for n in interrupted(lambda n: number(storage, f"first {turn} {n}", seconds=turn)):
        if path.stat().st_size > before:
            return
        yield n


def storage_path(storage):
    """Return the site directory of *storage*."""
    from pathlib import Path

    return Path(storage.site_dir)


class Busy(threading.Thread):
    """Records until it is told to end, whatever interrupts it, and knows what was acknowledged."""

    def __init__(self, storage):
        super().__init__()
        self.is_over = threading.Event()
        self.acknowledged = []
        self.interrupts = 0
        self._storage = storage
        self._turns = itertools.count()

    def run(self):
        """Record."""
        while True:
            try:
                while not self.is_over.is_set():
                    self._record(next(self._turns))
            except KeyboardInterrupt:
                self.interrupts += 1
            else:
                return

    def interrupt(self):
        """
        Interrupt it wherever it is in the storage, and return when it has seen that.

        Not before: an interrupt that is still under way when the thread ends, or that is called
        back, leaves the interpreter of 3.11 looking for it for ever.
        """
        recorded, seen = len(self.acknowledged), self.interrupts
        self._wait(lambda: len(self.acknowledged) > recorded)
        thread = ctypes.c_ulong(self.ident)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(KeyboardInterrupt))
        # Where it comes while an object is finalized the interpreter passes over it.
        passed = len(self.acknowledged) + 1000
        self._wait(lambda: self.interrupts > seen or len(self.acknowledged) > passed)

    def _wait(self, is_so):
        while not is_so():
            assert self.is_alive()
            time.sleep(0.0005)

    def _record(self, n):
        run_id = "001" if n % 2 else None
        if n % 5:
            draft = make_draft(data=n, run_id=run_id)
            self.acknowledged.append(self._storage.append_one(draft, at(n / 1000)))
            return
        drafts = [make_draft(data=f"{n} a"), make_draft(data=f"{n} b", run_id="001", id=f"{n}")]
        self.acknowledged.extend(append(self._storage, *drafts, seconds=n / 1000))


@pytest.mark.usefixtures("tidying_up")
def test_interrupts_of_a_busy_thread_cost_nothing(site, storage):
    """As `Ctrl-C` comes: from outside, at any moment, hundreds of times."""
    storage.start_run(make_run())
    busy = Busy(storage)
    busy.start()
    for _ in range(300):
        busy.interrupt()
    busy.is_over.set()
    busy.join(20)
    assert not busy.is_alive()
    assert busy.interrupts > 250
    storage.close()
    check_whole(site, busy.acknowledged)


def test_an_id_is_stored_once(site):
    """Also after a restart, and when its event lies in the file of a past day."""
    with open_site(site) as storage:
        first = number(storage, 1, id="i")
        number(storage, 2, seconds=86400)
        again = number(storage, 1, id="i", seconds=86401)
        assert (again.seq, again.is_duplicate) == (first.seq, True)
    with open_site(site) as storage:
        again = number(storage, 1, id="i", seconds=90000)
        assert (again, again.is_duplicate) == (first, True)
        assert data_of(storage) == [1, 2]


def test_a_run_that_is_over_takes_nothing(storage):
    """Its name is free to be started again, not to be written to."""
    run = storage.start_run(make_run())
    number(storage, 1, run_id="001")
    stop(storage, run)
    with pytest.raises(NoActiveRunError):
        storage.append([make_draft(run_id="001")], at(1))


def test_a_retry_on_a_later_day_makes_no_file(site, storage):
    """There is nothing to write into it, and the last day with events stays the newest."""
    first = number(storage, 1, id="a")
    again = number(storage, 1, id="a", seconds=86400)
    assert (again.seq, again.is_duplicate) == (first.seq, True)
    assert [path.name for path in site.glob("site_*")] == [DAY]
