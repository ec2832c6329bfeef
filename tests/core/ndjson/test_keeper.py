"""What happens beside recording: syncs, checkpoints, reservations, indexes."""

import shutil
import threading

import pytest

from telemetry_core.errors import OutcomeUnknownError
from telemetry_core.ndjson.checkpoint import Checkpoint
from telemetry_core.ndjson.keeper import Keeper
from telemetry_core.ndjson.layout import Layout
from telemetry_core.testing import make_draft
from telemetry_core.testing.samples import data_of
from tests.core.ndjson.sites import DAY, append, line, number, open_site

PATIENCE_S = 20


def until(is_so, do=lambda: None):
    """Do something again and again until it is so."""
    is_late = threading.Event()
    timer = threading.Timer(PATIENCE_S, is_late.set)
    timer.start()
    try:
        while not is_so():
            assert not is_late.is_set(), "it never was"
            do()
    finally:
        timer.cancel()


def reserved_in(site):
    """Return up to which seq numbers may have been given."""
    return int(Layout(site).reserved_seq.read_bytes().split()[0])


def test_a_checkpoint_is_written_when_much_was_recorded(site):
    """So a start after a kill reads a few megabytes at the most."""
    with open_site(site, sync_interval_s=0.01) as storage:
        number(storage, 0)
        before = Checkpoint.read(Layout(site).checkpoint).sizes[DAY]
        append(storage, *(make_draft(data="x" * 10_000) for _ in range(500)))
        until(lambda: Checkpoint.read(Layout(site).checkpoint).sizes[DAY] > before + 4_000_000)
        copy = site.with_name("crashed")
        shutil.copytree(site, copy)
    with open_site(copy) as storage:
        assert len(data_of(storage)) == 501


def test_a_file_without_an_index_gets_one(site):
    """A site that was written by an older program is quick to read after a while."""
    site.mkdir()
    path = site / "site_20200101.ndjson"
    path.write_bytes(b"".join(line(seq, data="x" * 1000) for seq in range(1, 1000)))
    (site / DAY).write_bytes(line(1001))
    kept = Layout(site).index_of(path)
    with open_site(site, sync_interval_s=0.01):
        until(kept.exists)
    assert kept.stat().st_size > 0


def test_numbers_are_reserved_ahead(site):
    """Before a block is used up, so that recording does not wait for the disk."""
    with open_site(site, sync_interval_s=0.01) as storage:
        last = number(storage, 1).seq
        first = reserved_in(site)
        last = append(storage, *(make_draft() for _ in range(first - last - 1)))[-1].seq
        until(lambda: reserved_in(site) > first)
        assert last < first


def test_what_fails_beside_recording_stops_nothing(site, caplog):
    """An index that cannot be written is told of; syncing goes on."""
    site.mkdir()
    path = site / "site_20200101.ndjson"
    path.write_bytes(b"".join(line(seq, data="x" * 1000) for seq in range(1, 1000)))
    with open_site(site, sync_interval_s=0.01) as storage:
        pass
    index = Layout(site).index_of(path).parent
    shutil.rmtree(index, ignore_errors=True)
    index.write_bytes(b"no directory")
    with open_site(site, sync_interval_s=0.01) as storage:
        until(lambda: "looking after" in caplog.text)
        first = reserved_in(site)
        append(storage, *(make_draft() for _ in range(900)))
        until(lambda: reserved_in(site) > first)


class Failing:
    """A writer, indexes and retention in one, whose every duty fails as nobody thought it could."""

    layout = Layout
    failure = None
    last_seq = 0
    is_synced = True
    synced = 0

    def size(self):
        """Nothing is open."""
        return 0

    def check_lock(self):
        """Count the rounds."""
        self.synced += 1
        raise KeyError("a mistake of ours")


def test_a_mistake_of_ours_does_not_end_it(site, caplog):
    """Else nothing would be synced any more, and nobody would know."""
    site.mkdir()
    failing = Failing()
    failing.layout = Layout(site)
    keeper = Keeper(failing, None, None, 0.001)
    until(lambda: failing.synced > 3)
    keeper.stop()
    assert "a mistake of ours" in caplog.text


def test_it_ends_when_recording_has_ended(site, caplog):
    """What failed once is not tried again and again."""
    site.mkdir()
    failing = Failing()
    failing.layout = Layout(site)
    failing.failure = OutcomeUnknownError("somewhere", "it could not be synced")
    keeper = Keeper(failing, None, None, 0.001)
    until(lambda: failing.synced == 1)
    keeper.stop()
    assert failing.synced == 1
    assert caplog.text


@pytest.mark.parametrize("durability", ["os", "interval", "always"])
def test_closing_does_not_wait_for_the_next_round(site, durability):
    """However seldom it looks."""
    storage = open_site(site, durability=durability, sync_interval_s=3600)
    number(storage, 1)
    storage.close()
    with open_site(site) as again:
        assert data_of(again) == [1]
