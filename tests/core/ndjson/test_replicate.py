"""Replicating: events come with the seqs that another site gave them."""

import time

import pytest
from attrs import evolve

from telemetry_core.clock import NS, format_ts
from telemetry_core.errors import IdConflictError, NoActiveRunError
from telemetry_core.memory import MemoryStorage
from telemetry_core.testing import make_draft
from telemetry_core.testing.samples import append as append_now
from telemetry_core.testing.samples import current_data, data_of, make_run, seqs_of, stop, stored
from tests.core.ndjson.sites import DAY, at, number, open_site, seqs_in, snapshot, ts_at


@pytest.fixture
def events():
    """Events of three days with gaps between their seqs."""
    storage = MemoryStorage()
    for n in range(6):
        ts = ts_at(n * 43_200)
        append_now(storage, make_draft(f"t{n % 2}", n, ts=ts, id=f"i{n}" if n % 3 == 0 else None))
        append_now(storage, make_draft("gap", store_permanently=False))
    return stored(storage)


def test_events_keep_their_seqs_and_their_days(site, storage, events):
    """Each is in the file of the day of its ts."""
    storage.replicate(events)
    assert stored(storage) == events
    assert [seqs_in(path) for path in sorted(site.glob("site_*"))] == [[1, 3], [5, 7], [9, 11]]
    assert snapshot(storage) == {"t0": 9, "t1": 11}


def test_replicating_again_changes_nothing(site, storage, events):
    """In whatever parts they come; so what was interrupted can be repeated."""
    storage.replicate(events[:3])
    storage.replicate(events[:5])
    before = {path: path.read_bytes() for path in site.glob("site_*")}
    storage.replicate(events[:5])
    storage.replicate(events[1:4])
    assert before == {path: path.read_bytes() for path in site.glob("site_*")}
    storage.replicate(events)
    assert stored(storage) == events


def test_nothing_is_replicated_of_nothing(storage):
    """It tells whether the storage can."""
    storage.replicate([])
    assert stored(storage) == []


def test_numbers_go_on_above_those_that_were_given(site, storage, events):
    """Also after a restart."""
    storage.replicate(events)
    assert number(storage, "mine", seconds=6 * 43_200).seq > 11
    storage.close()
    with open_site(site) as again:
        assert number(again, "mine too", seconds=6 * 43_200).seq > 12


def test_an_id_that_came_along_is_known(storage, events):
    """A retry here stores nothing twice."""
    storage.replicate(events)
    again = number(storage, 0, type="t0", id="i0", seconds=6 * 43_200)
    assert (again.seq, again.is_duplicate) == (1, True)


@pytest.mark.parametrize("change", [{"data": "other"}, {"type": "other"}, {"ts": ts_at(1)}])
def test_another_event_under_a_seq_is_refused(storage, events, change):
    """Two sites that gave the same number to different events cannot become one."""
    storage.replicate(events[:3])
    with pytest.raises(IdConflictError) as refused:
        storage.replicate([events[0], evolve(events[1], **change), *events[2:]])
    assert refused.value.seq == 3
    assert stored(storage) == events[:3]


def test_a_seq_below_the_last_one_is_refused(storage, events):
    """The order of files is that of seqs, so nothing can be put in between."""
    storage.replicate([events[0], events[2]])
    with pytest.raises(IdConflictError) as refused:
        storage.replicate(events)
    assert refused.value.seq == events[1].seq
    assert stored(storage) == [events[0], events[2]]


@pytest.mark.parametrize("order", [[0, 2, 1], [0, 1, 1]])
def test_seqs_that_do_not_ascend_are_refused(storage, events, order):
    """The error names the one that stands wrong, and nothing of the batch is kept."""
    with pytest.raises(IdConflictError) as refused:
        storage.replicate([events[n] for n in order])
    assert refused.value.seq == events[1].seq
    assert stored(storage) == []


def test_events_of_the_active_run_are_in_it(site, storage):
    """And are counted there; those of another run refuse the whole batch."""
    original = MemoryStorage()
    run = original.start_run(make_run())
    for n in range(4):
        append_now(
            original,
            make_draft(data=n, run_id="001" if n % 2 else None, ts=ts_at(n * 86400)),
        )
    stop(original, run)
    events = stored(original)
    with pytest.raises(NoActiveRunError, match="001"):
        storage.replicate(events)
    assert stored(storage) == []
    storage.start_run(make_run())
    storage.replicate(events)
    assert stored(storage) == events
    assert data_of(storage, run="001") == [1, 3]
    active = storage.active_run()
    assert (active.events, active.first_seq, active.last_seq) == (2, 2, 4)
    assert seqs_in(site / DAY) == [1]


def test_an_ephemeral_event_is_current_and_in_no_file(storage, events):
    """It takes its number, and is current until one of a higher seq is."""
    ephemeral = evolve(events[1], seq=12, data="seen", store_permanently=False)
    storage.replicate([*events, ephemeral])
    storage.replicate([*events, ephemeral])
    assert current_data(storage)["t1"] == "seen"
    assert seqs_of(stored(storage)) == [1, 3, 5, 7, 9, 11]
    assert number(storage, 1, seconds=6 * 43_200).seq == 13
    storage.replicate([evolve(ephemeral, seq=2, type="x"), evolve(ephemeral, seq=4, data="older")])
    assert current_data(storage)["t1"] == "seen"
    assert current_data(storage)["x"] == "seen"


def test_an_event_of_the_past_goes_into_the_newest_file(site, storage, events):
    """A day that is over is not opened again."""
    number(storage, "here", seconds=5 * 43_200)
    later = [evolve(event, seq=event.seq + 100) for event in events[:2]]
    storage.replicate(later)
    assert [path.name for path in site.glob("site_*")] == ["site_20260320.ndjson"]
    assert stored(storage)[1:] == later


def test_what_is_later_than_now_is_kept_in_the_file_of_today(site, storage):
    """A wrong clock elsewhere makes no file of a day to come, and none for what comes after it."""
    now = time.time_ns()
    other = MemoryStorage()
    for number_, days in enumerate([-3, 0, 400, 0, 1]):
        append_now(other, make_draft("t", number_, ts=format_ts(now + days * 86_400 * NS)))
    storage.replicate(stored(other))
    assert stored(storage) == stored(other)
    assert [seqs_in(path) for path in sorted(site.glob("site_*"))] == [[1], [2, 3, 4, 5]]


def test_today_is_another_day_tomorrow(storage):
    """What is later than now belongs to today for as long as that lasts, and no longer."""
    day_of = storage._writer.day_of  # noqa: SLF001  # nobody else tells it what time it is
    tomorrow = 86_400
    assert day_of(ts_at(5 * tomorrow), at(0)) == "20260318"
    assert day_of(ts_at(-tomorrow), at(0)) == "20260317"
    assert day_of(ts_at(0), at(1)) == "20260318"
    assert day_of(ts_at(tomorrow), at(tomorrow)) == "20260319"
    assert day_of(ts_at(0), at(tomorrow)) == "20260318"
