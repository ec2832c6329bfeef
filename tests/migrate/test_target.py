"""A target is never overwritten, never shared with a recorder, and completed after a kill."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys

import pytest

import telemetry_core
from telemetry_core import StorageInUseError
from telemetry_migrate.errors import ForeignEventsError, LostLinesError, TargetExistsError
from tests.faults.power import Disk


def test_a_second_call_finds_all_in_place(archive, record):
    """Running it twice is safe and says so."""
    archive.add("weather", *(record(day, f"2026-03-{day:02d}T00:00:00") for day in range(1, 9)))
    archive.migrate()
    before = archive.files()
    report = archive.migrate(verify=True)
    assert (report.written, report.already_there) == (0, 8)
    assert report.is_verified
    assert archive.files() == before


def test_another_file_is_never_overwritten(archive, record):
    """A file of the same name with other content is left alone, and so is everything else."""
    archive.add("weather", *(record(day, f"2026-03-{day:02d}T00:00:00") for day in range(1, 4)))
    archive.dest.mkdir()
    live = archive.dest / "site_20260302.ndjson"
    live.write_bytes(b'{"seq":1,"ts":"2026-03-02T00:00:00.000Z","type":"a","data":1,"meta":{}}\n')
    before = archive.files()
    with pytest.raises(TargetExistsError, match=r"site_20260302.*--merge"):
        archive.migrate()
    assert archive.files() == before


def test_a_file_of_another_day_is_in_the_way_too(archive, record):
    """Its numbers would be given twice."""
    archive.add("weather", record(1, "2026-03-01T00:00:00"))
    archive.migrate()
    archive.write("weather", b"")
    archive.add("weather", record(2, "2026-04-01T00:00:00"))
    with pytest.raises(TargetExistsError, match="site_20260301"):
        archive.migrate()


def test_merge_adds_what_is_missing(archive, record):
    """What is there stays, what is new comes in its place in time, and numbers rise."""
    later = [record(number, f"2026-03-0{number}T12:00:00") for number in (1, 2, 3)]
    archive.add("weather", *later)
    archive.migrate()
    archive.add("power", record(4, "2026-03-02T06:00:00", type_="power"))
    archive.add("weather", record(5, "2026-03-04T00:00:00"))
    report = archive.migrate(merge=True, verify=True)
    assert (report.written, report.already_there) == (2, 3)
    assert report.is_verified
    found = [(event["seq"], event["meta"]["original_id"]) for event in archive.events()]
    assert found == [(1, "id-1"), (2, "id-4"), (3, "id-2"), (4, "id-3"), (5, "id-5")]


def test_whoever_reads_a_file_meanwhile_reads_it_whole(archive, record):
    """A merged file takes the place of the old one at once, and does not grow in it."""
    archive.add("weather", record(1, "2026-03-01T00:00:00"))
    archive.migrate()
    before = archive.files()["site_20260301.ndjson"]
    with (archive.dest / "site_20260301.ndjson").open("rb") as reader:
        archive.add("weather", record(2, "2026-03-01T01:00:00"))
        archive.migrate(merge=True)
        assert reader.read() == before
    assert len(archive.events()) == 2


def test_merge_twice_changes_nothing(archive, record):
    """Also records without an id are not added again."""
    nameless = {**record(1, "2026-03-01T00:00:00"), "_id": None}
    archive.add("weather", nameless, nameless)
    archive.migrate(merge=True)
    before = archive.files()
    report = archive.migrate(merge=True)
    assert (report.written, report.already_there) == (0, 2)
    assert archive.files() == before
    archive.add("weather", nameless, {**record(2, "2026-03-01T00:00:00"), "_id": None})
    report = archive.migrate(merge=True)
    assert (report.written, report.already_there) == (2, 2)


def test_merge_keeps_what_the_source_has_no_more(archive, record):
    """Two archives can come into one target, one after the other."""
    archive.add("weather", record(1, "2026-03-01T00:00:00"), record(2, "2026-03-03T00:00:00"))
    archive.migrate()
    archive.write("weather", b"")
    archive.add("weather", record(3, "2026-03-02T00:00:00"), record(4, "2026-03-01T01:00:00"))
    report = archive.migrate(merge=True, verify=True)
    assert report.is_verified
    assert [event["data"]["number"] for event in archive.events()] == [1, 4, 3, 2]
    assert [event["seq"] for event in archive.events()] == [1, 2, 3, 4]


def test_merge_knows_lines_of_the_old_migrator(archive, record):
    """It kept milliseconds only, and wrote spaces."""
    archive.add("weather", record(1, "2026-03-01T00:00:00.123456"))
    archive.dest.mkdir()
    (archive.dest / "site_20260301.ndjson").write_text(
        '{"seq": 1, "ts": "2026-03-01T00:00:00.123Z", "type": "weather", "data": {"number": 1},'
        ' "meta": {"migrated_from": "PanFileDB", "original_id": "id-1"}}\n'
    )
    report = archive.migrate(merge=True)
    assert (report.written, report.already_there) == (0, 1)
    assert [event["ts"] for event in archive.events()] == ["2026-03-01T00:00:00.123Z"]


def test_events_of_a_recorder_are_never_numbered_anew(archive, record):
    """Whoever read them holds their numbers, so even merging leaves them alone."""
    archive.add("weather", record(1, "2026-03-01T00:00:00"))
    with telemetry_core.open(archive.dest) as recorder:
        recorder.record("weather", 1)
    before = archive.files()
    with pytest.raises(ForeignEventsError, match="not written by a migration"):
        archive.migrate(merge=True)
    assert archive.files() == before


def test_a_site_with_runs_is_no_target(archive, record):
    """A run's directory says that a recorder works here."""
    archive.add("weather", record(1, "2026-03-01T00:00:00"))
    with telemetry_core.open(archive.dest) as recorder, recorder.run("001"):
        pass
    with pytest.raises(ForeignEventsError, match="run"):
        archive.migrate()


def test_a_site_that_gave_numbers_is_no_target(archive, record):
    """Also numbers of events that are in no file were given."""
    archive.add("weather", record(1, "2026-03-01T00:00:00"))
    with telemetry_core.open(archive.dest) as recorder:
        recorder.record("weather", 1, store_permanently=False)
    with pytest.raises(ForeignEventsError, match="numbers"):
        archive.migrate()


def test_merge_under_another_rule_for_days_is_refused(archive, record):
    """The same events would stand in two files."""
    archive.add("weather", record(1, "2026-03-01T01:00:00"))
    archive.migrate()
    with pytest.raises(ForeignEventsError, match="--day"):
        archive.migrate(merge=True, day="observing", timezone="UTC")


def test_a_recorder_that_only_looked_is_no_hindrance(archive, record):
    """A target that was opened and closed again can be merged into, and is read right after."""
    archive.add("weather", record(1, "2026-03-02T00:00:00"))
    archive.migrate()
    telemetry_core.open(archive.dest).close()
    archive.add("weather", record(2, "2026-03-01T00:00:00"))
    archive.migrate(merge=True)
    with telemetry_core.open(archive.dest) as recorder:
        assert [event.data["number"] for event in recorder.history()] == [2, 1]
        assert recorder.current()["weather"].seq == 2


@pytest.mark.parametrize("options", [{}, {"merge": True}, {"dry_run": True}])
def test_a_live_writer_keeps_a_migration_out(archive, record, options):
    """The error names the process."""
    archive.add("weather", record(1, "2026-03-01T00:00:00"))
    with (
        telemetry_core.open(archive.dest),
        pytest.raises(StorageInUseError, match=str(os.getpid())),
    ):
        archive.migrate(**options)


def test_a_migration_keeps_a_writer_out(archive, record):
    """No recorder can start in the target while files are put in place."""
    archive.add("weather", record(1, "2026-03-01T00:00:00"))

    def try_to_open(_):
        with pytest.raises(StorageInUseError):
            telemetry_core.open(archive.dest)

    archive.migrate(progress=try_to_open)


def test_a_lock_that_nobody_holds_is_no_hindrance(archive, record):
    """A killed process leaves the file, not the lock."""
    archive.add("weather", record(1, "2026-03-01T00:00:00"))
    (archive.dest / ".telemetry").mkdir(parents=True)
    (archive.dest / ".telemetry" / "lock").write_text("12345\n")
    assert archive.migrate(dry_run=True).written == 1
    assert archive.migrate().written == 1


# Every file operation of ours that can leave a trace is a place to be killed at.
KILLED = """
import os, signal, sys
import telemetry_migrate

left = int(sys.argv[3])

def count(event, arguments):
    global left
    changes = event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir")
    if event == "open" and isinstance(arguments[2], int):
        changes = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
    if changes and "migrated" in str(arguments[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
telemetry_migrate.migrate(sys.argv[1], sys.argv[2], merge="merge" in sys.argv)
print(left)
"""


def kill_at(archive, step, *words):
    """Start a migration that is killed at its *step*; return what it said, if it came through."""
    command = [sys.executable, "-c", KILLED, archive.source, archive.dest, str(step), *words]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.stdout


@pytest.mark.parametrize("words", [(), ("merge",)])
def test_killed_anywhere_it_is_completed_to_the_same_bytes(archive, record, words, tmp_path):
    """Killed at a change of the disk and started again, it ends with the same files."""
    archive.add("weather", *(record(day, f"2026-03-{day:02d}T00:00:00") for day in range(2, 6)))
    archive.add("power", {"no": "date"})
    if words:
        archive.migrate()
        archive.add("weather", *(record(day, f"2026-03-0{day - 9}T06:00:00") for day in (10, 12)))
    before = tmp_path / "before"
    before.mkdir()
    if words:
        shutil.copytree(archive.dest, before, dirs_exist_ok=True)
    archive.migrate(merge=bool(words))
    expected, rejects = archive.files(), archive.rejects()
    steps = 10_000 - int(_after(archive, before, 10_000, words))
    assert steps > 10
    for step in range(1, steps + 1, max(1, steps // 20)):
        _after(archive, before, step, words)
        seqs = [event["seq"] for event in archive.events()]
        assert seqs == sorted(set(seqs))
        archive.migrate(merge=bool(words))
        assert archive.files() == expected
        assert archive.rejects() == rejects
        left = {path.name for path in (archive.dest / ".telemetry").iterdir()}
        assert left == {"lock", "rejected.ndjson"}


def _after(archive, before, step, words):
    shutil.rmtree(archive.dest, ignore_errors=True)
    shutil.copytree(before, archive.dest)
    return kill_at(archive, step, *words)


def test_a_failure_leaves_nothing_behind(archive, record):
    """A migration that ends with an error clears away what it had begun."""
    archive.add("weather", record(1, "2026-03-01T00:00:00"), "hello")
    (archive.dest / "site_20260301.ndjson").mkdir(parents=True)
    with pytest.raises(TargetExistsError):
        archive.migrate()
    assert [path.name for path in (archive.dest / ".telemetry").iterdir()] == ["lock"]


def test_the_lock_is_let_go(archive, record):
    """After a migration anybody may write."""
    archive.add("weather", record(1, "2026-03-01T00:00:00"))
    archive.migrate()
    with (archive.dest / ".telemetry" / "lock").open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def migrate_within(archive, file_bytes):
    """Migrate in a process that can make no file larger than so many bytes, as on a full disk."""
    program = (
        "import resource, sys, telemetry_migrate\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))\n"
        "telemetry_migrate.migrate(sys.argv[1], sys.argv[2])\n"
    )
    words = [archive.source, archive.dest, file_bytes]
    command = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("file_bytes", [1, 300_000, 800_000, 1_500_000])
def test_what_is_written_in_part_is_an_error(archive, record, file_bytes):
    """When there is no room for all of a file, none is put in place; with room, all are."""
    archive.add(
        "weather", *(record(n, f"2026-03-01T00:00:00.{n:06d}", "x" * 900) for n in range(2000))
    )
    archive.write("power", b"no record\n" * 9000)
    done = migrate_within(archive, file_bytes)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert archive.files() == {}
    assert [path.name for path in (archive.dest / ".telemetry").iterdir()] == ["lock"]
    assert archive.migrate(verify=True).is_verified


def test_a_full_disk_changes_nothing(archive, record, tmp_path):
    """The error names it, what was there stays, and with room again the same call is enough."""
    disk = Disk.make(tmp_path)
    try:
        archive.dest = disk.mount_point / "migrated"
        archive.add("weather", record(0, "2026-03-01T00:00:00"))
        archive.migrate()
        before = archive.files()
        archive.add(
            "weather", *(record(n, f"2026-03-02T00:00:00.{n:06d}", "x" * 900) for n in range(9000))
        )
        filler = disk.mount_point / "filler"
        filler.write_bytes(b"x" * (shutil.disk_usage(disk.mount_point).free - 2**22))
        with pytest.raises(OSError, match="No space left"):
            archive.migrate(merge=True)
        assert archive.files() == before
        filler.unlink()
        assert archive.migrate(merge=True, verify=True).written == 9000
    finally:
        disk.remove()


def test_lines_that_are_lost_on_the_way_are_an_error(archive, record):
    """What was converted and what is written are counted, and nothing is put in place."""
    archive.add("weather", *(record(n, f"2026-03-01T00:00:00.{n:06d}") for n in range(9)))

    def lose(progress):
        if progress.phase == "writing" and not progress.done:
            (spilled,) = (archive.dest / ".telemetry").rglob("20260301")
            spilled.write_bytes(b"".join(spilled.read_bytes().splitlines(keepends=True)[:7]))

    with pytest.raises(LostLinesError, match="7 lines of 9"):
        archive.migrate(progress=lose)
    assert archive.files() == {}
