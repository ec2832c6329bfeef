"""What a migration writes: every record once, in the file of its day, in order of time."""

import json
import os
import shutil
import stat

import pytest

import telemetry_core
from telemetry_migrate.errors import SourceNotFoundError


def test_the_envelope_is_exact(archive):
    """A record becomes the five keys in their order, and nothing else."""
    archive.write(
        "weather",
        b'{"_id": "abc123", "type": "weather", "date": "2026-03-18T00:05:48.955",'
        b' "data": {"sky": "clear", "wind_mps": 2.1}}\n',
    )
    archive.migrate()
    assert archive.files() == {
        "site_20260318.ndjson": b'{"seq":1,"ts":"2026-03-18T00:05:48.955Z","type":"weather",'
        b'"data":{"sky":"clear","wind_mps":2.1},'
        b'"meta":{"migrated_from":"PanFileDB","original_id":"abc123"}}\n'
    }


def test_the_quick_and_the_careful_way_write_the_same(archive, record):
    """A line that is read quickly becomes the same bytes as one whose spacing is unusual."""
    date = "2026-03-18T00:05:48.955398"
    data = {"a": [1, {"b": None}], "c": 1e-07, "d": "é\u2028", "e": 2**63, "f": -0.0}
    quick, careful = record(1, date, data), record(1, date, data)
    archive.add("a", record(0, date), quick)
    archive.migrate()
    expected = archive.files()
    shutil.rmtree(archive.dest)
    (archive.source / "a.json").unlink()
    archive.add("a", record(0, date))
    text = json.dumps(careful, separators=(" , ", "\t:\t"), ensure_ascii=False)
    archive.write("b", text.encode())
    archive.migrate()
    assert archive.files() == expected


def test_collections_come_in_order_of_time(archive, record):
    """The lines of a day file go up in time, whichever collection they are from."""
    archive.add("power", record(1, "2026-03-18T02:00:00"), record(2, "2026-03-18T01:00:00"))
    archive.add("weather", record(3, "2026-03-18T01:30:00"), record(4, "2026-03-18T00:30:00"))
    archive.migrate()
    assert [event["data"]["number"] for event in archive.events()] == [4, 2, 3, 1]


def test_equal_times_keep_their_order(archive, record):
    """Records of one instant stay in the order of the archive, however that is written."""
    dates = ["2026-03-18T01:00:00.5", "2026-03-18T01:00:00.500000", "2026-03-18T02:00:00.500+01:00"]
    archive.add("weather", *(record(number, dates[number % 3]) for number in range(9)))
    archive.migrate()
    assert [event["data"]["number"] for event in archive.events()] == list(range(9))


def test_seq_rises_over_all_files(archive, record):
    """Numbers go on from day to day, from 1."""
    archive.add("weather", *(record(day, f"2026-03-{31 - day}T12:00:00") for day in range(9)))
    archive.migrate()
    assert [event["seq"] for event in archive.events()] == list(range(1, 10))
    assert len(archive.files()) == 9


def test_a_file_is_named_by_the_utc_date(archive, record):
    """A date with a zone counts as the instant it is."""
    archive.add("weather", record(1, "2026-03-18T23:30:00-10:00"), record(2, "2026-03-18T23:30:00"))
    report = archive.migrate()
    assert list(archive.files()) == ["site_20260318.ndjson", "site_20260319.ndjson"]
    assert report.days == {"20260318": 1, "20260319": 1}
    assert archive.events()[1]["ts"] == "2026-03-19T09:30:00.000Z"


def test_observing_days_go_from_noon_to_noon(archive, record):
    """With the rule of the recorder, the night is one file."""
    archive.add(
        "weather",
        record(1, "2026-03-18T21:59:59.999999"),
        record(2, "2026-03-18T22:00:00"),
        record(3, "2026-03-19T21:59:59"),
    )
    archive.migrate(day="observing", timezone="Pacific/Honolulu")
    assert {name: text.count(b"\n") for name, text in archive.files().items()} == {
        "site_20260317.ndjson": 1,
        "site_20260318.ndjson": 2,
    }


@pytest.mark.parametrize("options", [{"day": "week"}, {"day": "observing", "timezone": "Mars"}])
def test_an_unknown_rule_or_zone_is_refused(archive, record, options):
    """The message names what is wrong, before anything is read."""
    archive.add("weather", record(1, "2026-03-18T00:00:00"))
    with pytest.raises(ValueError, match=r"week|Mars"):
        archive.migrate(**options)
    assert not archive.dest.exists()


def test_microseconds_are_kept(archive, record):
    """The digits of the archive stay, so nothing changes its place."""
    archive.add(
        "weather", record(1, "2026-03-18T00:05:48.955398"), record(2, "2026-03-18T00:05:49")
    )
    archive.migrate()
    times = [event["ts"] for event in archive.events()]
    assert times == ["2026-03-18T00:05:48.955398Z", "2026-03-18T00:05:49.000Z"]


def test_a_large_day_is_sorted_too(archive, record):
    """A day of more than fits into memory at once is in order of time, stable."""
    padding = "x" * 8000
    numbers = [(7 * number) % 1000 for number in range(2000)]
    archive.add(
        "weather",
        *(
            record(index, f"2026-03-18T{number // 100:02d}:{number % 60:02d}:00.000001", padding)
            for index, number in enumerate(numbers)
        ),
    )
    archive.migrate()
    found = [(event["ts"], int(event["meta"]["original_id"][3:])) for event in archive.events()]
    assert len(found) == 2000
    assert found == sorted(found)


def test_the_recorder_reads_what_was_migrated(archive, record):
    """The target is a site directory like any other."""
    archive.add("weather", *(record(number, f"2026-03-{number:02d}T00:00:00") for number in (1, 2)))
    archive.migrate()
    with telemetry_core.open(archive.dest) as recorder:
        assert [event.data for event in recorder.history()] == [{"number": 1}, {"number": 2}]
        assert recorder.record("weather", 3).seq > 2


def test_snapshots_are_left_out(archive, record):
    """`current_weather.json` is the last record once more."""
    archive.add("weather", record(1, "2026-03-18T00:00:00"))
    archive.add("current_weather", record(1, "2026-03-18T00:00:00"))
    archive.write("current_power", b"{ torn")
    archive.add("power", record(2, "2026-03-18T00:00:00"))
    report = archive.migrate()
    assert [each.file for each in report.files] == ["power.json", "weather.json"]
    assert report.read == 2


def test_a_collection_may_be_called_like_a_snapshot(archive, record):
    """`current_draw` is a collection, and `current_current_draw.json` is its snapshot."""
    draw = record(1, "2026-03-18T00:00:00", type_="current_draw")
    archive.add("current_draw", draw)
    archive.add("current_current_draw", draw)
    report = archive.migrate()
    assert [each.file for each in report.files] == ["current_draw.json"]
    assert [event["type"] for event in archive.events()] == ["current_draw"]


def test_a_collection_and_a_snapshot_may_share_a_file(archive, record):
    """PanDB wrote the snapshot of `draw` and the records of `current_draw` into one file."""
    draw = record(1, "2026-03-18T00:00:00", type_="draw")
    archive.add("draw", draw)
    archive.add("current_draw", draw, record(2, "2026-03-18T01:00:00", type_="current_draw"))
    report = archive.migrate()
    assert [event["type"] for event in archive.events()] == ["draw", "current_draw"]
    assert (report.written, report.already_there) == (2, 1)


@pytest.mark.parametrize("exists", [True, False])
def test_a_place_without_an_archive_is_an_error(archive, exists):
    """Nothing migrated must not look like success."""
    if not exists:
        archive.source.rmdir()
    with pytest.raises(SourceNotFoundError, match="nothing to migrate"):
        archive.migrate()
    assert not archive.dest.exists()


def test_an_empty_collection_has_no_records(archive):
    """A file without a record is no damage."""
    archive.write("weather", b"\n \r\n")
    assert archive.migrate().read == 0
    assert archive.files() == {}


def test_a_dry_run_writes_nothing(archive, record):
    """It says what would happen, and the target is not even made."""
    archive.add("weather", record(1, "2026-03-18T00:00:00"))
    archive.add("weather", {"no": "date"})
    report = archive.migrate(dry_run=True)
    assert (report.written, report.rejected, report.is_dry_run) == (1, 1, True)
    assert not archive.dest.exists()


def test_files_are_private_to_owner_and_group(archive, record):
    """Modes are those of the recorder's own files."""
    archive.add("weather", record(1, "2026-03-18T00:00:00"))
    before = os.umask(0)
    try:
        archive.migrate()
    finally:
        os.umask(before)
    assert stat.S_IMODE((archive.dest / "site_20260318.ndjson").stat().st_mode) == 0o640
    assert stat.S_IMODE(archive.dest.stat().st_mode) == 0o750


def test_only_the_lock_is_left_beside_the_files(archive, record):
    """Nothing temporary stays."""
    archive.add("weather", record(1, "2026-03-18T00:00:00"))
    archive.migrate()
    assert [path.name for path in (archive.dest / ".telemetry").iterdir()] == ["lock"]


def test_verify_compares_both_sides(archive, record):
    """Counts and hashes are the same, repeated and rejected records considered."""
    repeated = record(1, "2026-03-18T00:00:00")
    archive.add("weather", repeated, repeated, record(2, "2026-03-19T00:00:00"), "no record")
    archive.add("power", record(3, "2026-03-18T00:00:00", type_="power"))
    report = archive.migrate(verify=True)
    assert report.is_verified
    assert [(each.day, each.type, each.expected, each.found) for each in report.verified] == [
        ("20260318", "power", 1, 1),
        ("20260318", "weather", 1, 1),
        ("20260319", "weather", 1, 1),
    ]


def test_progress_reaches_its_end(archive, record):
    """Each phase is told from 0 to its total."""
    archive.add("weather", *(record(number, "2026-03-18T00:00:00") for number in range(10)))
    told = []
    archive.migrate(verify=True, progress=told.append)
    for phase in ["reading", "writing", "verifying"]:
        steps = [each for each in told if each.phase == phase]
        assert steps[0].done == 0
        assert steps[-1].done == steps[-1].total > 0


def test_an_archive_may_be_written_to_meanwhile(archive, record):
    """What comes after the beginning is left to the next call, and verified then."""
    archive.add("weather", record(1, "2026-03-18T00:00:00"))
    report = archive.migrate(
        verify=True, progress=lambda _: archive.add("weather", record(2, "2026-03-18T01:00:00"))
    )
    assert (report.written, report.is_verified) == (1, True)
    assert archive.migrate(merge=True, verify=True).written == 1


def test_a_real_archive_is_migrated_whole(archive, real_archive):
    """Every reading of a real site is there."""
    archive.source = real_archive
    report = archive.migrate(verify=True)
    assert report.is_verified
    assert report.rejected == 0
    assert report.written == report.read > 0
