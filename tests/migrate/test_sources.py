"""Sources are plugins; what they yield is recorded once, and what cannot be is handed back."""

import json

import pytest
from click.testing import CliRunner

import telemetry_core
from telemetry_core import Draft, Plugins, Recorder, hookimpl
from telemetry_core.cli.group import make_cli
from telemetry_core.clock import parse_ts
from telemetry_core.memory import MemoryStorage
from telemetry_core.testing.samples import append, make_draft
from telemetry_migrate import Reject, SourceType, copy
from telemetry_migrate.errors import (
    SourceNotFoundError,
    SourceSettingsError,
    UnknownSourceError,
)
from telemetry_migrate.sources import source_type, source_types


@pytest.fixture
def storage():
    """Where events are brought in."""
    return MemoryStorage()


class Yields:
    """A plugin whose source yields what it was given."""

    def __init__(self, *items):
        self.items = items
        self.asked = []

    @hookimpl(optionalhook=True)
    def telemetry_register_source(self):
        """Sign up `mine:`."""
        return SourceType(name="mine", summary="mine", read=self.read)

    def read(self, place, options):
        """Yield the items."""
        self.asked.append((place, options))
        return iter(self.items)


def test_hook_telemetry_register_source(storage):
    """A registered source is found by its name, and told its place and options."""
    plugin = Yields(Draft("weather", 1, ts="2026-03-18T00:00:00Z"))
    report = copy("mine:a/place?x=1", storage, plugins=Plugins([plugin]))
    assert plugin.asked == [("a/place", {"x": "1"})]
    assert (report.read, report.written) == (1, 1)
    assert [event.type for event in storage.read()] == ["weather"]


def test_our_own_sources_are_plugins_too():
    """They are there without being installed, in order of their names."""
    assert list(source_types(Plugins())) == ["csv", "panfiledb", "site"]


def test_a_broken_source_plugin_costs_the_others_nothing(caplog):
    """It is a warning."""

    class Broken:
        @hookimpl(optionalhook=True)
        def telemetry_register_source(self):
            raise RuntimeError("broken")

    assert "csv" in source_types(Plugins([Broken()]))
    assert "broken" in caplog.text


def test_an_unknown_source_is_named_with_those_there_are():
    """So that a typing error is seen at once."""
    with pytest.raises(UnknownSourceError, match="'cvs'; installed: 'csv', 'panfiledb', 'site'"):
        source_type(Plugins(), "cvs")


def test_what_cannot_be_recorded_is_rejected_alone(storage, tmp_path):
    """One draft that is refused costs no other of its batch."""
    drafts = [Draft("weather", number, id=str(number)) for number in range(50)]
    drafts[20] = Draft("bad\n", 20, id="20")
    drafts[30] = Draft("weather", object(), id="30")
    items = [Reject("mine.txt", 7, "no event", b"raw"), *drafts]
    rejects = tmp_path / "rejects.ndjson"
    report = copy("mine:x", storage, rejects=rejects, plugins=Plugins([Yields(*items)]))
    assert (report.read, report.written, report.rejected) == (51, 48, 3)
    lines = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [line["line"] for line in lines] == [7, None, None]
    assert "type" in lines[1]["reason"]


def test_a_source_is_recorded_once(storage):
    """Called again, also by another process that forgot the ids, it adds what is new."""
    with_id = [Draft("weather", number, id=str(number)) for number in range(3)]
    without = [Draft("weather", number, ts="2026-03-18T00:00:00Z") for number in range(3)]
    meta = {"migrated_from": "test"}
    items = [
        Draft(each.type, each.data, ts=each.ts, id=each.id, meta=meta)
        for each in [*with_id, *without]
    ]
    copy("mine:x", storage, plugins=Plugins([Yields(*items[:4])]))
    storage._ids.clear()  # noqa: SLF001  # as a storage of files forgets old ones
    report = copy("mine:x", storage, plugins=Plugins([Yields(*items, *items)]))
    assert (report.read, report.written, report.already_there) == (12, 2, 10)


def test_an_id_of_another_event_is_a_reject(storage):
    """The event that had it stays, the other one is not lost in silence."""
    with Recorder(storage) as recorder:
        recorder.record("weather", 1, id="same")
        report = copy("mine:x", storage, plugins=Plugins([Yields(Draft("weather", 2, id="same"))]))
    assert (report.written, report.rejected) == (0, 1)


def test_back_filled_events_are_not_current(storage, archive, record):
    """An old reading must not stand for the present, and no run takes it in."""
    archive.add("weather", record(1, "2020-03-18T00:00:00"))
    with Recorder(storage) as recorder:
        recorder.record("weather", "now")
        recorder.start_run("001")
        copy(f"panfiledb:{archive.source}", storage)
        assert recorder.current()["weather"].data == "now"
        assert [event.data for event in recorder.history(stream="site")] == ["now", {"number": 1}]


def test_an_archive_comes_in_order_of_time(storage, archive, record):
    """Its collections are one stream; what is damaged is counted."""
    archive.add("weather", record(1, "2026-03-18T02:00:00"), record(2, "2026-03-17T00:00:00"))
    archive.add("power", record(3, "2026-03-18T01:00:00", type_="power"), "hello")
    report = copy(f"panfiledb:{archive.source}", storage)
    assert [event.data["number"] for event in storage.read()] == [2, 3, 1]
    assert (report.read, report.rejected) == (4, 1)
    assert [event.id for event in storage.read()] == ["id-2", "id-3", "id-1"]


def test_the_events_of_a_site_can_be_recorded_anew(tmp_path, storage):
    """Under new numbers, with where they came from in their meta."""
    place = str(tmp_path / "site")
    with telemetry_core.open(place) as recorder, recorder.run("001"):
        event = recorder.record("weather", 1, meta={"by": "me"})
    append(storage, make_draft("power", 0))
    for written in (1, 0):
        assert copy(f"site:{place}", storage).written == written
    (_, copied) = storage.read()
    assert copied.meta == {
        "by": "me",
        "migrated_from": place,
        "original_id": event.seq,
        "original_run": "001",
    }


TABLE = """\
when,temperature (*C),wind,station,note
2026-03-18T00:00:00+01:00,14.38,3,a,
2026-03-18T00:10:00+01:00,-1e-3,,b,"clear, cold"
"""


@pytest.fixture
def table(tmp_path):
    """A CSV file of two readings."""
    path = tmp_path / "readings.csv"
    path.write_text(TABLE)
    return path


def test_a_csv_file_is_recorded_row_by_row(table, storage):
    """Numbers become numbers, nothing becomes null, the type is the file's name."""
    copy(f"csv:{table}?time=when", storage)
    assert [(event.ts, event.type, event.data) for event in storage.read()] == [
        (
            "2026-03-17T23:00:00.000Z",
            "readings",
            {"temperature (*C)": 14.38, "wind": 3, "station": "a", "note": None},
        ),
        (
            "2026-03-17T23:10:00.000Z",
            "readings",
            {"temperature (*C)": -0.001, "wind": None, "station": "b", "note": "clear, cold"},
        ),
    ]
    assert copy(f"csv:{table}?time=when", storage).already_there == 2


def test_csv_columns_are_mapped(table, storage):
    """Columns are chosen and renamed; one may give the type."""
    copy(f"csv:{table}?time=when&type_column=station&columns=temp_c=temperature (*C),wind", storage)
    assert [(event.type, event.data) for event in storage.read()] == [
        ("a", {"temp_c": 14.38, "wind": 3}),
        ("b", {"temp_c": -0.001, "wind": None}),
    ]


STATION = """\
timestamp,date,temperature (*C),humidity (%),pressure (hPa),wind_direction
1616893111,2021-03-28T01:58:31+01:00,14.38,31,1001.28,3.0
1616893711,2021-03-28T03:08:31+02:00,12.88,41,998.05,6.0
"""
STATION_COLUMNS = "temp_c=temperature (*C),humidity_pct=humidity (%),wind_dir=wind_direction"


@pytest.mark.parametrize("time", ["date", "timestamp"])
def test_the_table_of_a_weather_station_is_mapped(tmp_path, storage, time):
    """Names with blanks, brackets and signs, and local times over the change to summer time."""
    (tmp_path / "station.csv").write_text(STATION)
    copy(f"csv:{tmp_path}/station.csv?time={time}&type=weather&columns={STATION_COLUMNS}", storage)
    assert [(event.ts, event.type, event.data) for event in storage.read()] == [
        (
            "2021-03-28T00:58:31.000Z",
            "weather",
            {"temp_c": 14.38, "humidity_pct": 31, "wind_dir": 3.0},
        ),
        (
            "2021-03-28T01:08:31.000Z",
            "weather",
            {"temp_c": 12.88, "humidity_pct": 41, "wind_dir": 6.0},
        ),
    ]


def test_a_real_table_is_recorded_whole(storage, real_table):
    """Every row of a real weather station is there, and once."""
    source = f"csv:{real_table}?time=date&type=weather&columns={STATION_COLUMNS}"
    report = copy(source, storage)
    assert (report.rejected, report.written) == (0, report.read)
    rows = [line.split(",") for line in real_table.read_text().splitlines()[1:]]
    events = list(storage.read())
    assert [event.ts for event in events] == [parse_ts(row[1])[0] for row in rows]
    assert all(type(event.data["temp_c"]) in (int, float) for event in events)
    assert copy(source, storage).already_there == report.read


@pytest.mark.parametrize(
    ("text", "options", "ts"),
    [
        ("1616025948.955398", "", "2021-03-18T00:05:48.955398Z"),
        ("1616025948", "", "2021-03-18T00:05:48.000Z"),
        ("2026-03-18 00:05:48", "&timezone=Pacific/Honolulu", "2026-03-18T10:05:48.000Z"),
        ("2026-03-18T00:05:48Z", "&timezone=Pacific/Honolulu", "2026-03-18T00:05:48.000Z"),
    ],
)
def test_csv_times_are_instants(tmp_path, storage, *, text, options, ts):
    """Seconds since 1970, RFC 3339, or local times of a zone that is named."""
    (tmp_path / "a.csv").write_text(f"\ufefft;v\n{text};1\n")
    copy(f"csv:{tmp_path / 'a.csv'}?time=t&delimiter=;{options}", storage)
    assert [event.ts for event in storage.read()] == [ts]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("banana,1", "banana"),
        ("2026-03-18T00:00:00,1", "RFC 3339"),
        ("99999999999999,1", "seconds"),
        ("1e9,1", "seconds"),
        ("1616025948,1,2", "cells"),
        ("1616025948,\udcff", "utf-8"),
    ],
)
def test_a_csv_row_that_is_no_event_is_rejected(tmp_path, storage, *, row, reason):
    """With its line and reason; the rows around it are recorded."""
    path = tmp_path / "a.csv"
    text = f"time,value\n1616025940,0\n{row}\n1616025960,2\n"
    path.write_bytes(text.encode(errors="surrogateescape"))
    rejects = tmp_path / "rejects.ndjson"
    report = copy(f"csv:{path}?time=time", storage, rejects=rejects)
    assert (report.written, report.rejected) == (2, 1)
    line = json.loads(rejects.read_text())
    assert (line["file"], line["line"]) == ("a.csv", 3)
    assert reason in line["reason"]


def test_a_csv_cell_without_end_costs_its_own_row(tmp_path, storage):
    """The csv module gives up such a row, and only that."""
    path = tmp_path / "a.csv"
    path.write_text(f"time,value\n1616025940,1\n1616025950,{'x' * 200_000}\n1616025960,2\n")
    rejects = tmp_path / "rejects.ndjson"
    report = copy(f"csv:{path}?time=time", storage, rejects=rejects)
    assert (report.written, report.rejected) == (2, 1)
    assert json.loads(rejects.read_text())["line"] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "which column is the time"),
        ("?time=date", "no column 'date'; there are 'when'"),
        ("?time=when&colour=red", "no option 'colour'; there are time"),
        ("?time=when&timezone=Mars", "Mars"),
    ],
)
def test_a_wrong_option_of_a_csv_file_is_named(table, storage, *, options, message):
    """Nothing is recorded by guessing."""
    with pytest.raises(SourceSettingsError, match=message):
        copy(f"csv:{table}{options}", storage)


@pytest.mark.parametrize("place", ["csv:/nowhere.csv?time=a", "panfiledb:/nowhere"])
def test_a_source_that_is_not_there_is_an_error(place, storage):
    """Nothing copied must not look like success."""
    with pytest.raises(SourceNotFoundError):
        copy(place, storage)


def run(*words):
    """Run `telemetry copy` with *words*."""
    return CliRunner().invoke(make_cli(), ["copy", *map(str, words)])


def test_copy_is_a_command(table, tmp_path):
    """Its report goes to stderr, and as JSON to stdout."""
    done = run(f"csv:{table}?time=when", tmp_path / "site", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["written"] == 2
    assert "2 read = 2 written" in done.stderr
    with telemetry_core.open(tmp_path / "site", read_only=True) as recorder:
        assert len(list(recorder.history())) == 2


def test_copy_says_that_events_were_recorded_anew(table, tmp_path):
    """A storage that keeps its numbers is not said to be so, and `--verify` is not passed over."""
    done = run(f"csv:{table}?time=when", tmp_path / "site")
    assert "recorded anew, in the site stream" in done.stderr
    assert "anew" not in run(tmp_path / "site", "memory:").stderr
    done = run(f"csv:{table}?time=when", tmp_path / "other", "--verify")
    assert done.exit_code == 2
    assert "--verify" in done.stderr
    assert not (tmp_path / "other").exists()


def test_copy_lists_the_sources():
    """Each with what it is."""
    assert [line.split("\t")[0] for line in run("--sources").stdout.splitlines()] == [
        "csv",
        "panfiledb",
        "site",
    ]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "FROM TO"),
        (["csv:/nowhere?time=a", "memory:"], 3, "nothing to migrate"),
        (["nobody:x", "memory:"], 2, "no storage named 'nobody'"),
        (["http://127.0.0.1:1", "memory:"], 4, "cannot be used"),
    ],
)
def test_what_cannot_be_copied_has_an_exit_code(words, code, message):
    """2 for a wrong name, 3 for no source."""
    done = run(*words)
    assert done.exit_code == code
    assert message in done.stderr


def test_rejects_of_a_copy_change_its_exit_code(tmp_path):
    """6, and where they are."""
    (tmp_path / "a.csv").write_text("time\nbanana\n")
    done = run(f"csv:{tmp_path / 'a.csv'}?time=time", "memory:", "--rejects", tmp_path / "r")
    assert done.exit_code == 6
    assert str(tmp_path / "r") in done.stderr
