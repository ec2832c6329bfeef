"""The files of a site directory: which day an event lands in, and when nothing may be written."""

import errno
import os
import shutil
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from telemetry_core.clock import NS
from telemetry_core.errors import (
    OutcomeUnknownError,
    StorageClosedError,
    StorageError,
    StorageUnavailableError,
)
from telemetry_core.testing import make_draft
from telemetry_core.testing.calls import Call
from telemetry_core.testing.samples import data_of, make_run, seqs_of, stored
from tests.core.ndjson.sites import DAY, at, lines_of, number, open_site, seqs_in

PATIENCE_S = 20
ZONES = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",  # half an hour of summer time
    "Pacific/Honolulu",
    "Pacific/Apia",
    "America/St_Johns",
    "Africa/Casablanca",  # winter time in Ramadan
    "Asia/Kathmandu",
]


def day_of(ns, zone):
    """Return the observing day as an astronomer would say it: the evening's date."""
    wall = datetime.fromtimestamp(ns / NS, UTC).astimezone(ZoneInfo(zone))
    return f"{wall.date() - timedelta(days=wall.hour < 12):%Y%m%d}"


def changes_of(zone):
    """Return the instants of a year in which the zone's clocks are changed, or two of none."""
    hours = range(1_767_225_600, 1_798_761_600, 3600)
    offset = [datetime.fromtimestamp(s, ZoneInfo(zone)).utcoffset() for s in hours]
    found = [s for s, one, two in zip(hours, offset, offset[1:], strict=False) if one != two]
    return found or [hours[2000], hours[6000]]


@pytest.mark.parametrize("zone", ZONES)
def test_each_day_begins_at_local_noon(site, zone):
    """Also around both changes of the clocks: each event is in the file of its observing day."""
    wanted = {}
    with open_site(site, timezone=zone) as storage:
        for change in changes_of(zone):
            for quarter in range(-48 * 4, 48 * 4):
                ns = (change + quarter * 900) * NS
                (event,) = storage.append([make_draft(data=ns)], ns)
                wanted.setdefault(f"site_{day_of(ns, zone)}.ndjson", []).append(event.seq)
    found = {path.name: seqs_in(path) for path in site.glob("site_*")}
    assert found == wanted


def test_a_new_day_begins_with_the_event_at_noon(site, storage):
    """The last nanosecond before noon belongs to the old day, noon to the new one."""
    noon = at(18 * 3600)
    (before,), (after,) = (storage.append([make_draft()], ns) for ns in (noon - 1, noon))
    assert seqs_in(site / DAY) == [before.seq]
    assert seqs_in(site / "site_20260319.ndjson") == [after.seq]


def test_a_clock_that_steps_back_reopens_no_day(site, storage):
    """What is recorded then goes on in the newest file, and the past one is not touched."""
    number(storage, 1)
    number(storage, 2, seconds=86400)
    past = (site / DAY).read_bytes(), (site / DAY).stat().st_mtime_ns
    for seconds in (0, 1, 2, -86400):
        number(storage, 3, seconds=seconds)
    assert (site / DAY).read_bytes() == past[0]
    assert (site / DAY).stat().st_mtime_ns == past[1]
    assert len(lines_of(site / "site_20260319.ndjson")) == 5
    assert sorted(path.name for path in site.glob("site_*")) == [DAY, "site_20260319.ndjson"]


def test_a_clock_that_is_behind_after_a_restart_reopens_no_day(site, caplog):
    """The newest file goes on, also when it is of a day to come."""
    with open_site(site) as storage:
        number(storage, 1, seconds=5 * 86400)
    with open_site(site) as storage:
        number(storage, 2)
        assert "the clock says day 20260318; going on in that of 20260323" in caplog.text
    assert [one["data"] for one in lines_of(site / "site_20260323.ndjson")] == [1, 2]
    assert not (site / DAY).exists()


def test_a_clock_that_steps_forth_leaves_out_days(site, storage):
    """A day in which nothing was recorded has no file."""
    number(storage, 1)
    number(storage, 2, seconds=10 * 86400)
    names = sorted(path.name for path in site.glob("site_*"))
    assert names == [DAY, "site_20260328.ndjson"]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Honolulu"])
def test_a_change_of_the_zone_reopens_no_day(site, zone):
    """Between two starts the site may have moved; the order of files stays that of seqs."""
    with open_site(site, timezone="UTC") as storage:
        number(storage, 1)
        number(storage, 2, seconds=86400)
        past = (site / DAY).read_bytes()
    with open_site(site, timezone=zone) as storage:
        for hours in range(0, 80, 4):
            number(storage, 3, seconds=86400 + 3600 * hours)
        files = sorted(site.glob("site_*"))
        assert [seq for path in files for seq in seqs_in(path)] == seqs_of(stored(storage))
    assert (site / DAY).read_bytes() == past


@pytest.mark.parametrize("name", ["site_99999999.ndjson", "site_20260231.ndjson", "site_1.ndjson"])
def test_a_file_of_no_day_is_not_ours(site, name):
    """Whoever put it there: it is left alone, and recording goes on."""
    site.mkdir()
    (site / name).write_bytes(b"not ours\n")
    with open_site(site, keep_days=1) as storage:
        number(storage, 1)
        number(storage, 2, seconds=86400)
        assert data_of(storage) == [1, 2]
    assert (site / name).read_bytes() == b"not ours\n"


@pytest.mark.parametrize("is_replaced", [False, True])
@pytest.mark.parametrize("is_open", [False, True])
def test_a_site_directory_that_is_gone_takes_nothing(site, is_open, is_replaced):
    """Also when another one stands in its place, and whether or not a file was open."""
    with open_site(site.parent / "other") as storage:
        number(storage, "other")
    storage = open_site(site)
    try:
        if is_open:
            number(storage, 1)
        site.rename(site.parent / "away")
        if is_replaced:
            shutil.copytree(site.parent / "other", site)
        there = {path: path.read_bytes() for path in site.rglob("*.ndjson")}
        with pytest.raises(StorageUnavailableError, match="removed or replaced"):
            number(storage, 2, seconds=1)
        with pytest.raises(StorageUnavailableError):
            storage.start_run(make_run())
        with pytest.raises(StorageUnavailableError):
            storage.check_writable()
        assert there == {path: path.read_bytes() for path in site.rglob("*.ndjson")}
    finally:
        storage.close()


def test_recording_ends_when_the_lock_is_removed(site):
    """Without `.telemetry` another process could begin to write."""
    with open_site(site, sync_interval_s=0.01) as storage:
        number(storage, 1)
        shutil.rmtree(site / ".telemetry")
        refused = wait_for_refusal(storage)
        assert "removed or replaced" in str(refused)
        with pytest.raises(StorageUnavailableError):
            storage.flush()
        assert data_of(storage) == [1]
    with open_site(site) as storage:
        assert data_of(storage) == [1]


def wait_for_refusal(storage):
    """Record until it is refused, and return why."""
    is_late = threading.Event()
    timer = threading.Timer(PATIENCE_S, is_late.set)
    timer.start()
    try:
        while not is_late.is_set():
            storage.append([make_draft("tick", store_permanently=False)], at(1))
    except StorageError as error:
        return error
    finally:
        timer.cancel()
    pytest.fail("nothing was refused")


def test_a_waiter_waits_on_when_recording_has_ended(site):
    """A failure brings nothing new; only what is stored, or closing, ends the wait."""
    storage = open_site(site)
    try:
        last = number(storage, 1).seq
        site.rename(site.parent / "away")
        with pytest.raises(StorageUnavailableError):
            number(storage, 2, seconds=1)
        call = Call(lambda: storage.wait(last))
        assert storage.wait(last, 0.05) == last
    finally:
        storage.close()
    with pytest.raises(StorageClosedError):
        call.result(PATIENCE_S)


def test_a_sync_waits_for_the_one_under_way(site, monkeypatch):
    """Who finds nothing left to sync must not answer before those who are at it are done."""
    gate, has_come = threading.Event(), threading.Event()
    sync = os.fdatasync

    def slow_sync(fd):
        has_come.set()
        assert gate.wait(PATIENCE_S)
        sync(fd)

    with open_site(site, durability="always") as storage:
        number(storage, 1)
        monkeypatch.setattr(os, "fdatasync", slow_sync)
        first = Call(lambda: number(storage, 2))
        assert has_come.wait(PATIENCE_S)
        second = Call(storage.flush)
        with pytest.raises(pytest.fail.Exception, match="did not return"):
            second.result(0.1)
        gate.set()
        first.result(PATIENCE_S)
        second.result(PATIENCE_S)


class Meddling(str):
    """A type that does something when it is looked up for the second time, behind the write."""

    __slots__ = ("looked_up", "meddle")

    def __hash__(self):
        """Count, and meddle."""
        self.looked_up = getattr(self, "looked_up", 0) + 1
        if self.looked_up == 2:
            self.meddle()
        return super().__hash__()

    def __eq__(self, other):
        """Be the text that it is."""
        return str(self) == other


def test_nothing_is_taken_when_a_sync_fails_during_an_append(site, storage, monkeypatch):
    """Also when it fails in another thread just while a line is being accounted for."""

    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    def fail_to_flush():
        monkeypatch.setattr(os, "fdatasync", fail)
        with pytest.raises(OutcomeUnknownError):
            Call(storage.flush).result(PATIENCE_S)
        monkeypatch.undo()

    number(storage, 1)
    draft = make_draft(Meddling("meddling"), 2)
    draft.type.meddle = fail_to_flush
    storage.append_one(draft, at(0))
    with pytest.raises(StorageUnavailableError, match="until it is opened again"):
        storage.append_one(make_draft(data=3), at(0))
    assert seqs_in(site / DAY) == [1, 2]


def test_a_failed_start_lets_go_of_everything(site):
    """Who tries to open again and again runs out of nothing."""
    with open_site(site) as storage:
        storage.start_run(make_run())
        number(storage, 1, run_id="001")
    (site / ".telemetry" / "checkpoint.json").unlink()
    (site / ".telemetry" / ".checkpoint.json.new").mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(StorageUnavailableError):
            open_site(site)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    (site / ".telemetry" / ".checkpoint.json.new").rmdir()
    with open_site(site) as storage:
        assert data_of(storage) == [1]


def test_closing_while_somebody_flushes_breaks_nothing(site):
    """A flush that is under way ends, one that comes later is refused."""
    for _ in range(20):
        storage = open_site(site)
        number(storage, 1)

        def flush(storage=storage):
            while True:
                try:
                    storage.flush()
                except StorageClosedError:
                    return

        calls = [Call(flush) for _ in range(3)]
        storage.close()
        for call in calls:
            call.result(PATIENCE_S)
