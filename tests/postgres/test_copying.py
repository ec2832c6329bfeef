"""`telemetry copy` between files and the database, both ways: equal event for event."""

from urllib.parse import quote

import pytest

import telemetry_core
from telemetry_migrate import copy


@pytest.fixture
def url(server, site):
    """The URL of a new site."""
    return f"{server.url()}?site={quote(site)}"


def fill(recorder):
    """Record what can be told apart: runs, ids, ephemeral values, odd numbers and texts."""
    recorder.record("weather", {"b": -0.0, "a": [1e16, 1.0, 5e-324, 2**63]}, id="a")
    for run_id in ("001", "M42", "001"):
        with recorder.run(run_id, meta={"observer": "Ada"}):
            for n in range(300):
                recorder.record("image", {"file": f"{n:04}.fits", "é": "\u2028"})
            recorder.record("dome", "open", store_permanently=False)
    recorder.record("note", None, meta={"by": "Ada"}, make_current=False)
    recorder.record("C:\\dome", 'a\tb\nc\rd\\e"f', meta={"path": "C:\\n"}, id="\\N")
    recorder.start_run("night")
    recorder.record("weather", 1, ts="2026-03-18T00:05:48.955123456Z")


def everything(url):
    """Return all that can be asked for, to the letter."""
    with telemetry_core.open(url, read_only=True) as recorder:
        events = [(event, event.data_json, event.meta_json) for event in recorder.history()]
        current = dict(recorder.current())
        runs = [(run.run_id, run.started_at, run.status, run.events) for run in recorder.runs()]
        return events, current, runs


def test_a_site_goes_into_the_database_and_back(url, tmp_path):
    """Files, database, files: the same bytes of data and meta, the same runs and numbers."""
    here, back = tmp_path / "here", tmp_path / "back"
    with telemetry_core.open(here) as recorder:
        fill(recorder)
    report = copy(here, url, verify=True)
    assert (report.read, report.is_verified) == (904, True)
    assert copy(url, back, verify=True).read == 904
    assert everything(here) == everything(url) == everything(back)


def test_a_copy_goes_on_where_it_ended(url, tmp_path):
    """What was recorded meanwhile is added."""
    here = tmp_path / "here"
    with telemetry_core.open(here) as recorder:
        fill(recorder)
    copy(here, url)
    with telemetry_core.open(here) as recorder:
        recorder.record("weather", 2)
        recorder.stop_run()
    assert copy(here, url, verify=True).read == 1
    assert everything(here) == everything(url)
