"""What was acknowledged survives: killed servers, a standby that takes over, a full disk."""

import os
import subprocess
import time

import pytest

import telemetry_core
from telemetry_core import StorageFullError, StorageUnavailableError
from tests.postgres.oracle import PATIENCE_S, Follower, Writers, assert_kept
from tests.postgres.server import Server

_EACH_TIME = 200


@pytest.fixture
def pair(bin_dir):
    """A primary, and a standby that every commit waits for."""
    primary = Server(bin_dir)
    standby = Server(bin_dir)
    try:
        primary.make().start()
        standby.follow(primary, "standby").start()
        primary.execute(
            "ALTER SYSTEM SET synchronous_standby_names = 'standby'", "SELECT pg_reload_conf()"
        )
        _until(lambda: primary.execute("SELECT sync_state FROM pg_stat_replication") == [("sync",)])
        yield primary, standby
    finally:
        standby.remove()
        primary.remove()


def test_a_standby_takes_over(pair):
    """The primary is killed, its standby promoted: lost 0, doubled 0, and a follower goes on."""
    primary, standby = pair
    url = f"postgresql://telemetry@{primary.address},{standby.address}/postgres?connect_timeout=2"
    with telemetry_core.open(url) as recorder:
        assert recorder.storage.capabilities.replicated
    writers, follower = Writers(url, recorders=2, threads=4), Follower(url)
    try:
        writers.until_acknowledged(_EACH_TIME)
        primary.kill()
        standby.promote()
        writers.until_acknowledged(_EACH_TIME)
        acknowledged = writers.stop()
        seqs = assert_kept(acknowledged, standby.url())
        assert follower.until_at(seqs[-1]) == seqs
    finally:
        follower.close()
        writers.close()


def test_all_servers_are_killed_and_started_again(pair):
    """Both at once: lost 0, doubled 0."""
    primary, standby = pair
    url = f"{primary.url()}?connect_timeout=2"
    writers = Writers(url, recorders=2, threads=4)
    try:
        writers.until_acknowledged(_EACH_TIME)
        primary.kill()
        standby.kill()
        primary.start(wait=False)
        standby.start(wait=False)
        primary.until_ready()
        writers.until_acknowledged(_EACH_TIME)
        assert_kept(writers.stop(), url)
    finally:
        writers.close()


def test_an_outage_between_two_events_is_not_seen(bin_dir):
    """A connection that was idle meanwhile is made anew, and its first event is kept."""
    server = Server(bin_dir)
    try:
        server.make().start()
        with telemetry_core.open(server.url()) as recorder:
            recorder.record("weather", 1)
            server.stop()
            with pytest.raises(StorageUnavailableError) as refused:
                recorder.record("weather", 2)
            assert refused.value.retry_after_s
            server.start()
            recorder.record("weather", 3)
            assert [event.data for event in recorder.history()] == [1, 3]
            assert recorder.current()["weather"].data == 3
    finally:
        server.remove()


def test_a_full_disk_refuses_and_recovers(server, tmp_path):
    """Nothing of a refused batch is kept, what was is, and room is all it needs to go on."""
    disk = _small_disk(tmp_path, server)
    try:
        server.execute(f"CREATE TABLESPACE small LOCATION '{disk}/space'")
        server.execute("CREATE DATABASE on_small_disk TABLESPACE small")
        url = server.url("on_small_disk")
        with telemetry_core.open(url) as recorder:
            kept = [recorder.record("first", 0).seq]
            subprocess.run(
                ["fallocate", "-l", _free(disk), disk / "ballast"], check=True, capture_output=True
            )
            with pytest.raises(StorageFullError):
                _fill(recorder, kept)
            assert len(kept) > 1
            assert [event.seq for event in recorder.history()] == kept
            (disk / "ballast").unlink()
            kept.append(recorder.record("last", 1).seq)
            assert [event.seq for event in recorder.history()] == kept
    finally:
        server.execute("DROP DATABASE IF EXISTS on_small_disk", "DROP TABLESPACE IF EXISTS small")
        subprocess.run(["umount", disk], check=True)


def _fill(recorder, kept):
    """Record large events without an end, and keep what seqs they were given."""
    while True:
        event = recorder.record("image", os.urandom(50_000).hex())
        kept.append(event.seq)


def _small_disk(tmp_path, server):
    """Mount a file of 64 MiB as a disk that the server may write."""
    image, disk = tmp_path / "image", server.place / "disk"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    owner = server.data.stat()
    try:
        subprocess.run(["mkfs.ext4", "-q", image], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", image, disk], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a file cannot be mounted here as a disk: {error}")
    (disk / "space").mkdir()
    os.chown(disk / "space", owner.st_uid, owner.st_gid)
    return disk


def _free(disk):
    """Return how much to take of *disk* so that some MiB are left."""
    left = os.statvfs(disk)
    return str(max(left.f_bavail * left.f_frsize - 4 * 1024 * 1024, 4096))


def _until(is_so):
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
