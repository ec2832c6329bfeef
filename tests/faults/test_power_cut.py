"""The power is cut while a recorder records: what may be lost depends on the durability alone."""

import contextlib
import random
import shutil

import pytest

from tests.faults import oracle
from tests.faults.driver import IS_LONG, fresh, places
from tests.faults.power import Disk
from tests.faults.story import Story

ROUNDS = 100 if IS_LONG else 1
SLACK_S = 2.0
"""How much later than promised a busy machine may sync: its threads wait for a processor."""

WITHOUT_LOSS = [one for one in oracle.PROMISES if one is not oracle.acknowledged_is_read_once]
"""What holds although acknowledged events are lost."""

pytestmark = pytest.mark.timeout(3600 if IS_LONG else 60)


@pytest.fixture
def cut(tmp_path, worker):
    """Return a function that cuts the power while *script* is done, and returns the trial."""
    with contextlib.ExitStack() as cleaning:

        def run(script, *, lines, **options):
            place = fresh(tmp_path / "disk")
            disk = Disk.make(place)
            cleaning.callback(disk.remove)
            trial = fresh(tmp_path / "trial")
            (trial / "site").symlink_to(disk.mount_point / "site")
            (disk.mount_point / "site").mkdir()
            pid = worker.begin(trial, script, **options)
            cut_ns = worker.kill_after(pid, trial, lines, before=disk.cut_power)
            disk.restore_power()
            (trial / "site").unlink()
            shutil.copytree(disk.mount_point / "site", trial / "site")
            disk.remove()
            return trial, cut_ns

        yield run


def _lost(trial, cut_ns):
    """Return the events acknowledged before the cut that are not there, each with its age then."""
    story = Story.read(places(trial)[1])
    with oracle.open_again(places(trial)[0]) as recorder:
        there = {event.data["n"] for event in recorder.history()}
    kept = [one for one in story.records() if one.is_kept and one.answer["ns"] < cut_ns]
    missing = {}
    for one in kept:
        for event in one.answer["events"]:
            if event["n"] not in there | story.ephemeral():
                missing.setdefault(event["n"], (cut_ns - one.answer["ns"]) / 1e9)
    return missing, len(kept)


def _before_the_cut(trial, cut_ns):
    """Take every later answer out of the story: the recorder could not know of the cut."""
    path = places(trial)[1]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if b'"ask"' in line or _ns(line) < cut_ns))


def _ns(line):
    return int(line.rpartition(b'"ns": ')[2].rstrip(b"}\n"))


def test_always_loses_nothing(cut):
    """Of what was acknowledged before the cut everything is there."""
    chance = random.Random(1)
    for _ in range(ROUNDS):
        trial, cut_ns = cut("load", lines=chance.randrange(100, 1000), durability="always")
        missing, kept = _lost(trial, cut_ns)
        assert kept > 10
        assert missing == {}
        _before_the_cut(trial, cut_ns)
        oracle.check(trial)


def test_interval_loses_the_last_moments_at_most(cut):
    """What is missing was acknowledged no longer ago than the interval."""
    interval_s = 1.0 if IS_LONG else 0.2
    bound_s = 1.1 * interval_s + SLACK_S
    chance = random.Random(2)
    for _ in range(ROUNDS):
        # An event is two lines of the story and takes 5 ms: it must last longer than the bound.
        lines = 400 * (bound_s + chance.uniform(1.0, 1.0 + interval_s))
        trial, cut_ns = cut(
            "slowly",
            lines=round(lines),
            durability="interval",
            sync_interval_s=interval_s,
        )
        missing, kept = _lost(trial, cut_ns)
        ages = sorted(missing.values())
        assert kept > 100
        assert ages == [] or ages[-1] < bound_s
        _before_the_cut(trial, cut_ns)
        oracle.check(trial, promises=WITHOUT_LOSS)


def test_os_may_lose_events_and_nothing_else(cut):
    """Whatever is left is whole, and the storage goes on from there."""
    chance = random.Random(3)
    for _ in range(ROUNDS):
        trial, cut_ns = cut("load", lines=chance.randrange(100, 3000), durability="os")
        missing, _ = _lost(trial, cut_ns)
        assert missing, "the control: without a sync something must be lost, or no power was cut"
        _before_the_cut(trial, cut_ns)
        oracle.check(trial, promises=WITHOUT_LOSS)
