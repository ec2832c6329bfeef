"""`telemetry postgresql`: the tables, a view, and the days."""

import subprocess
from urllib.parse import quote

import psycopg
import pytest

import telemetry_core
from tests.postgres.replicas import PATIENCE_S, TELEMETRY


def telemetry(*words):
    """Run the command, and return how it ended."""
    return subprocess.run(
        [*TELEMETRY, "postgresql", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


@pytest.fixture
def url(server, site):
    """The URL of a new site."""
    return f"{server.url()}?site={quote(site)}"


def test_the_schema_can_be_run_as_it_is_printed(server, database):
    """By any tool, and then a storage finds its tables."""
    done = telemetry("schema", "--schema", "lab")
    assert (done.returncode, done.stderr) == (0, "")
    with psycopg.connect(server.url(database), autocommit=True) as link:
        link.execute(done.stdout)
    with telemetry_core.open(f"{server.url(database)}?schema=lab") as recorder:
        assert recorder.record("weather", 1).seq == 1


def test_only_what_is_missing_is_printed():
    """For tables of an older version."""
    assert "CREATE VIEW" in telemetry("schema", "--from", "1").stdout
    assert "CREATE TABLE telemetry.event" not in telemetry("schema", "--from", "1").stdout


def test_a_schema_that_is_none_is_refused():
    """Before anything is printed."""
    done = telemetry("schema", "--schema", 'x"; DROP TABLE y')
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no schema" in done.stderr


def test_a_view_is_made_and_named(server, site, url):
    """Its full name is what is printed."""
    with telemetry_core.open(url) as recorder:
        recorder.record("weather/roof", {"sky": "clear"})
    done = telemetry("view", url, "weather/roof")
    assert (done.returncode, done.stdout) == (0, "telemetry.weather_roof\n"), done.stderr
    asked = f"SELECT sky FROM telemetry.weather_roof WHERE site = '{site}'"
    assert server.execute(asked) == [("clear",)]


def test_the_days_are_made(url):
    """And another kind of storage is refused."""
    assert telemetry("days", url).returncode == 0
    assert telemetry("days", "memory:").returncode == 2
