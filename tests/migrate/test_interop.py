"""jq, DuckDB and pandas read what was migrated, as the old guide showed."""

import json
import shutil
import subprocess

import duckdb
import pandas as pd
import pytest


@pytest.fixture
def migrated(archive, record):
    """The day files of two days of weather and of one reading of the power."""
    for number, date in enumerate(["2026-03-18T00:05:48.955398", "2026-03-19T12:00:00"]):
        archive.add("weather", record(number, date, {"sky": "clear", "wind_mps": 2.1 + number}))
    archive.add("weather", record(2, "2026-03-18T06:00:00", ["é\u2028", {"deep": [None, True]}]))
    archive.add("environment", record(3, "2026-03-18T01:00:00", {"temp_c": 4}, "environment"))
    archive.migrate()
    return archive


@pytest.fixture
def jq():
    """Return a function that runs jq with words and returns the values it prints."""
    program = shutil.which("jq")
    if program is None:
        pytest.skip("jq is not installed")

    def run(*words):
        command = [program, "-c", *map(str, words)]
        done = subprocess.run(command, capture_output=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def test_jq_selects_by_type(migrated, jq):
    """All weather records of a day, as `jq 'select(.type == "weather")' FILE`."""
    found = jq('select(.type == "weather")', migrated.dest / "site_20260318.ndjson")
    assert [event["meta"]["original_id"] for event in found] == ["id-0", "id-2"]
    assert found == [event for event in migrated.events()[:3] if event["type"] == "weather"]


def test_jq_finds_the_most_recent(migrated, jq):
    """The last reading of all files, as `jq -s 'map(select(…)) | last' FILES`."""
    files = sorted(migrated.dest.glob("site_*.ndjson"))
    (found,) = jq("-s", 'map(select(.type == "environment")) | last', *files)
    assert found["data"] == {"temp_c": 4}


def test_pandas_reads_the_lines(migrated):
    """A frame of the five columns, times as times."""
    frames = [pd.read_json(path, lines=True) for path in sorted(migrated.dest.glob("site_*"))]
    frame = pd.concat(frames)
    assert list(frame.columns) == ["seq", "ts", "type", "data", "meta"]
    assert list(frame.seq) == [1, 2, 3, 4]
    times = pd.to_datetime(frame.ts, format="ISO8601", utc=True)
    assert times.is_monotonic_increasing
    assert times.iloc[0] == pd.Timestamp("2026-03-18T00:05:48.955398Z")
    assert list(frame[frame.type == "weather"].data) == [
        event["data"] for event in migrated.events() if event["type"] == "weather"
    ]


def test_duckdb_reads_the_files(migrated):
    """All day files are one table, and a field of the data is a path in it."""
    files = str(migrated.dest / "site_*.ndjson")
    rows = duckdb.execute(
        "SELECT seq, CAST(ts AS TIMESTAMPTZ) AS ts, type, data->>'$.sky', meta->>'$.original_id'"
        " FROM read_ndjson(?, columns={seq: 'BIGINT', ts: 'VARCHAR', type: 'VARCHAR',"
        " data: 'JSON', meta: 'JSON'}) WHERE type = 'weather' ORDER BY ts",
        [files],
    ).fetchall()
    assert [row[0] for row in rows] == [1, 3, 4]
    assert [row[3] for row in rows] == ["clear", None, "clear"]
    assert [row[4] for row in rows] == ["id-0", "id-2", "id-1"]
    assert rows[0][1].microsecond == 955398


def test_duckdb_needs_to_be_told_nothing(migrated):
    """It finds the columns by itself."""
    rows = duckdb.execute(
        "SELECT type, count(*) FROM read_json_auto(?) GROUP BY type ORDER BY type",
        [str(migrated.dest / "site_*.ndjson")],
    ).fetchall()
    assert rows == [("environment", 1), ("weather", 3)]
