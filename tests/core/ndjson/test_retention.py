"""Retention: what is old goes, whole and told of; what is needed stays."""

import os

import orjson
import pytest

import telemetry_core
from telemetry_core.errors import LaggedError
from telemetry_core.ndjson import NdjsonSettings
from telemetry_core.ndjson.index import Indexes
from telemetry_core.ndjson.layout import Layout
from telemetry_core.ndjson.reader import Reader
from telemetry_core.ndjson.retention import Retention, removed_through
from telemetry_core.ndjson.runfile import RunFiles
from telemetry_core.ndjson.writer import Writer
from telemetry_core.testing.samples import data_of, make_draft, make_run
from tests.core.ndjson.sites import at, fill_up, line, number, open_site

DAY_S = 86400


class Kept:
    """A site directory with what looks after its size, called by hand."""

    def __init__(self, site, days=0, **options):
        settings = NdjsonSettings(url=str(site), timezone="UTC", durability="os", **options)
        self.layout = Layout(site)
        run_files = RunFiles(self.layout)
        reader = Reader(self.layout, run_files, Indexes(self.layout))
        self.writer = Writer(self.layout, settings, run_files, reader)
        self.retention = Retention(self.layout, settings, run_files, lambda: at(days * DAY_S))

    def apply(self):
        """Remove what has to go, and return the names of what is gone."""
        return [self.layout.relative(path) for path in self.retention.apply(self.writer)]

    def __enter__(self):
        """Return it."""
        return self

    def __exit__(self, *_):
        """Close it."""
        self.writer.close()


def fill(site, days=5, size=10, **wishes):
    """Record an event of a type of its own on each of so many days, and one that stays current."""
    with open_site(site) as storage:
        for day in range(days):
            number(storage, "x" * size, make_current=False, seconds=day * DAY_S, **wishes)


def add_run(site, run_id, days, *, stopped_at=None, current=False):
    """Record a run of one event, that many days later."""
    with open_site(site) as storage:
        run = storage.start_run(make_run(run_id))
        number(storage, run_id, run_id=run_id, make_current=current, seconds=days * DAY_S)
        if stopped_at is not None:
            storage.finish_run(run.stopped(stopped_at))


def days_in(site):
    """Return the days of the files that are there."""
    return [int(path.name[11:13]) for path in sorted(site.glob("site_*"))]


def test_nothing_is_removed_unless_it_is_asked_for(site):
    """Without a setting everything is kept for ever."""
    fill(site)
    with Kept(site, days=10_000) as kept:
        assert kept.apply() == []
    assert len(days_in(site)) == 5


def test_days_that_ended_longer_ago_are_removed(site):
    """A day ends at noon; the one whose age is exactly what is allowed stays."""
    fill(site)
    # It is 18:00 on the 23rd; the day of the 19th ended at noon of the 20th, 3.25 days ago.
    with Kept(site, days=5, keep_days=3.25) as kept:
        assert kept.apply() == ["site_20260318.ndjson"]
    with Kept(site, days=5, keep_days=3.2) as kept:
        assert kept.apply() == ["site_20260319.ndjson"]
    assert days_in(site) == [20, 21, 22]


def test_the_newest_day_is_never_removed(site):
    """Whatever its age: numbers and order go on from there."""
    fill(site, days=3)
    with Kept(site, days=1000, keep_days=1) as kept:
        assert len(kept.apply()) == 2
        assert kept.apply() == []
    assert days_in(site) == [20]


def test_a_stopped_run_is_removed_when_it_ended_longer_ago(site):
    """With its facts, its lines and its directory; the others stay."""
    fill(site, days=1)
    add_run(site, "old", 0, stopped_at="2026-03-18T20:00:00.000Z")
    add_run(site, "new", 0, stopped_at="2026-03-21T20:00:00.000Z")
    with Kept(site, days=4, keep_days=2) as kept:
        assert kept.apply() == ["old/telemetry.ndjson"]
    assert sorted(path.name for path in site.iterdir() if path.is_dir()) == [".telemetry", "new"]


def test_the_active_run_is_never_removed(site):
    """Whenever it was started."""
    fill(site, days=1)
    add_run(site, "001", 0)
    with Kept(site, days=1000, keep_days=1) as kept:
        assert kept.apply() == []
        assert kept.writer.run.run_id == "001"


def test_a_foreign_file_in_the_directory_of_a_run_stays(site):
    """Somebody put it there; only what is ours is removed."""
    fill(site, days=1)
    add_run(site, "001", 0, stopped_at="2026-03-18T20:00:00.000Z")
    (site / "001" / "notes.txt").write_bytes(b"keep me")
    with Kept(site, days=10, keep_days=1) as kept:
        assert kept.apply() == ["001/telemetry.ndjson"]
        assert kept.apply() == []
    assert [path.name for path in (site / "001").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("is_of_run", [False, True])
def test_the_last_value_of_a_type_is_never_removed(site, caplog, is_of_run):
    """The file that holds it stays until there is a later value, and the log says why."""
    fill(site, days=3)
    with open_site(site) as storage:
        storage.start_run(make_run("001"))
        run_id = "001" if is_of_run else None
        number(storage, "only", type="dome", run_id=run_id, seconds=4 * DAY_S)
        number(storage, 5, make_current=False, seconds=5 * DAY_S)
        storage.finish_run(storage.active_run().stopped("2026-03-19T20:00:00.000Z"))
    with Kept(site, days=100, keep_days=1) as kept:
        place = "001/telemetry.ndjson" if is_of_run else "site_20260322.ndjson"
        assert place not in kept.apply()
        assert f"{site / place} is kept: it has the last value of 'dome'" in caplog.text
        caplog.clear()
        assert kept.apply() == []
        assert caplog.text == ""
        kept.writer.append([make_draft("dome", "later")], at(5 * DAY_S))
        assert kept.apply() == [place]


def test_what_was_removed_is_told(site, caplog):
    """In the log and in a file: when, what, how large, up to which seq, and why."""
    fill(site, days=3)
    with Kept(site, days=10, keep_days=1) as kept:
        kept.apply()
        told = kept.layout.removed.read_bytes().splitlines()
    size = (site / "site_20260320.ndjson").stat().st_blocks * 512
    assert [orjson.loads(one) for one in told if one] == [
        {
            "at": "2026-03-28T18:00:00.000Z",
            "file": f"site_202603{day}.ndjson",
            "bytes": size,
            "last_seq": seq,
            "reason": "older than 1 days",
        }
        for seq, day in ((1, 18), (2, 19))
    ]
    assert f"removed {site / 'site_20260318.ndjson'}, {size} bytes: older than" in caplog.text
    assert removed_through(Layout(site)) == 2


def test_what_was_removed_is_told_behind_a_torn_line(site):
    """A power cut may have left half of what was told before."""
    fill(site, days=2)
    with Kept(site, days=10, keep_days=1) as kept:
        kept.layout.removed.write_bytes(b'{"at":"2026')
        kept.apply()
    assert removed_through(Layout(site)) == 1


def test_the_highest_seq_that_was_removed_never_falls(site):
    """Whatever is removed later, also something older."""
    fill(site, days=2)
    add_run(site, "001", 1, stopped_at="2026-03-25T20:00:00.000Z")
    add_run(site, "002", 1, stopped_at="2026-03-19T20:00:00.000Z")
    with open_site(site) as storage:
        number(storage, 1, make_current=False, seconds=2 * DAY_S)
        assert storage.removed_through() == 0
    seen = []
    for days in (3, 6, 100):
        with Kept(site, days=days, keep_days=1) as kept:
            kept.apply()
            seen.append(removed_through(kept.layout))
    assert seen == sorted(seen)
    assert seen[0] > 0


def test_the_oldest_go_while_all_lines_take_too_much(site):
    """And no more than that; a size is that of the blocks on the disk."""
    fill(site, days=5, size=10_000)
    size = (site / "site_20260318.ndjson").stat().st_blocks * 512
    with Kept(site, keep_bytes=4 * size) as kept:
        assert kept.apply() == ["site_20260318.ndjson"]
        assert kept.apply() == []
    with Kept(site, keep_bytes=0) as kept:
        assert len(kept.apply()) == 3
    assert days_in(site) == [22]


def test_a_hole_in_a_file_takes_nothing(site):
    """What a file takes is not what it seems to hold, in either direction."""
    fill(site, days=3, size=10_000)
    sparse, *_ = sorted(site.glob("site_*"))
    size = sparse.stat().st_blocks * 512
    os.truncate(sparse, 100_000_000)
    with Kept(site, keep_bytes=4 * size) as kept:
        assert kept.apply() == []


def test_room_that_was_set_aside_is_taken(site):
    """A file may take more blocks than its lines need."""
    fill(site, days=3, size=10)
    first, *_ = sorted(site.glob("site_*"))
    fd = os.open(first, os.O_WRONLY)
    try:
        os.posix_fallocate(fd, 0, 1_000_000)
        os.ftruncate(fd, 1_000_000)
    finally:
        os.close(fd)
    with Kept(site, keep_bytes=500_000) as kept:
        assert kept.apply() == [first.name]


def test_the_oldest_go_while_the_disk_is_too_full(small_disk):
    """Its fullness is that of the disk, whoever fills it."""
    site = small_disk / "site"
    fill(site, days=6, size=40_000)
    with Kept(site, keep_percent=40) as kept:
        removed = kept.apply()
        room = os.statvfs(site)
        used = 100 * (room.f_blocks - room.f_bfree) / room.f_blocks
        assert 25 < used <= 40
        assert kept.apply() == []
    assert removed == [f"site_202603{day}.ndjson" for day in range(18, 18 + len(removed))]


def test_no_more_goes_because_somebody_still_reads_what_went(small_disk):
    """The disk gets the room back when the reader lets go, and not at once."""
    site = small_disk / "site"
    fill(site, days=6, size=40_000)
    with Kept(site, keep_percent=40) as kept:
        files = [path.open("rb") for path in site.glob("site_*")]
        removed = kept.apply()
        for file in files:
            file.close()
        assert 1 <= len(removed) <= 3
        assert kept.apply() == []


def test_a_full_disk_is_no_obstacle(small_disk):
    """What makes room needs none, and tells what it removed all the same."""
    site = small_disk / "site"
    fill(site, days=4, size=40_000)
    fill_up(small_disk)
    with Kept(site, keep_percent=90) as kept:
        assert kept.apply()[0] == "site_20260318.ndjson"
        assert removed_through(kept.layout) >= 1


def test_a_file_of_which_nothing_can_be_read_is_removed_too(site):
    """It holds nothing that is current."""
    fill(site, days=2)
    (site / "site_20260310.ndjson").write_bytes(b"oops\n")
    (site / "site_20260311.ndjson").write_bytes(b"")
    with Kept(site, days=10, keep_days=1) as kept:
        assert kept.apply()[:2] == ["site_20260310.ndjson", "site_20260311.ndjson"]


def test_the_keeper_removes_what_is_old(site):
    """Without anybody asking, soon after the start."""
    site.mkdir()
    (site / "site_20000101.ndjson").write_bytes(line(1, current=False))
    (site / "site_20000102.ndjson").write_bytes(line(2))
    with open_site(site, keep_days=1, sync_interval_s=0.01) as storage:
        while (site / "site_20000101.ndjson").exists():
            number(storage, 0, type="tick", store_permanently=False)
        assert data_of(storage) == [2]
        assert storage.removed_through() == 1


def test_a_follower_that_missed_something_is_told(site):
    """It resumes where the history goes on, and misses nothing more."""
    fill(site, days=4)
    with Kept(site, days=3, keep_days=1.3) as kept:
        assert kept.apply() == ["site_20260318.ndjson"]
    with telemetry_core.open(site, timezone="UTC") as recorder:
        assert next(recorder.follow(after=0)).seq == 2
        assert next(recorder.follow(after=1)).seq == 2
    with Kept(site, days=100, keep_days=1) as kept:
        kept.apply()
        assert removed_through(kept.layout) == 3
    with telemetry_core.open(site, timezone="UTC") as recorder:
        late = recorder.follow(after=1)
        assert next(late).seq == 4
        with pytest.raises(LaggedError) as lagged:
            next(late)
        again = recorder.follow(after=lagged.value.after)
        event = recorder.record("weather", "new")
        assert next(again) == event
