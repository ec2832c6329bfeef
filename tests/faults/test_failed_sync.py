"""A sync that failed closes the log: the system has forgotten which pages were not written."""

import errno

import pytest

from tests.faults import oracle
from tests.faults.driver import Fault, places, wait_until
from tests.faults.service import Service
from tests.faults.story import Story

DURABILITIES = ["os", "interval", "always"]


@pytest.fixture
def told(place, faulty_worker):
    """Return a function that tells what happened when the sync of a line failed."""

    def tell(durability):
        fault = Fault("EIO", 0, "sync", "17.ndjson")
        options = {"durability": durability, "sync_interval_s": 0.1}
        assert 0 == faulty_worker.do(place, "failed_sync", fault=fault, **options)
        return Story.read(places(place)[1])

    return tell


@pytest.mark.parametrize("durability", DURABILITIES)
def test_nothing_is_acknowledged_after_a_failed_sync(told, durability):
    """Not an event, not a batch, not a run, until the storage is opened again."""
    story = told(durability)

    oracle.nothing_is_kept_after_a_failed_sync(story, None)
    opened = [place for place, one in enumerate(story.asked) if one.what == "open"][1]
    before = [one for one in story.asked[:opened] if one.what in {"record", "start_run"}]
    assert [one.is_kept for one in before[-3:]] == [False, False, False]
    assert [one.what for one in story.asked[opened:] if not one.is_kept] == []


@pytest.mark.parametrize("durability", DURABILITIES)
def test_why_nothing_is_taken_is_said(told, durability):
    """`check_writable`, and so `/ready`, names the file and the reason."""
    story = told(durability)

    said = [one.answer for one in story.asked if one.what == "check_writable"]
    refused = [answer for answer in said if answer["error"]]
    assert {answer["error"] for answer in refused} == {"StorageUnavailableError"}
    for answer in refused:
        assert "site_20260317.ndjson" in answer["text"]
        assert "Input/output error" in answer["text"]


def test_the_service_says_why_it_is_not_ready(place, shim):
    """`/ready` and every event after the failed sync are answered with 503 and the reason."""
    site, story = places(place)
    fault = Fault("EIO", 0, "sync", ".ndjson")
    variables = {"LD_PRELOAD": str(shim), "FAULT_SITE": str(site), "FAULT_JOURNAL": str(story)}
    event = {"type": "weather", "data": {"sky": "clear"}}
    with Service.running(site, {**variables, **fault.variables()}) as service:
        assert 200 == service.ask("GET", "/ready")[0]
        assert 200 == service.ask("POST", "/event", event)[0]
        wait_until(lambda: service.ask("GET", "/ready")[0] != 200)

        for answer in (service.ask("GET", "/ready"), service.ask("POST", "/event", event)):
            assert 503 == answer[0]
            assert "Input/output error" in answer[1]["detail"]
        assert 200 == service.ask("GET", "/health")[0]


@pytest.mark.parametrize("durability", DURABILITIES)
def test_a_failed_sync_is_never_tried_again(told, durability):
    """Nor is anything written behind what may be lost, until the storage is opened again."""
    story = told(durability)

    (failed,) = [one for one in story.calls if one.call == "sync" and one.done == -errno.EIO]
    opened = [one.line for one in story.asked if one.what == "open"][1]
    after = [one for one in story.calls if failed.line < one.line < opened]
    assert [one for one in after if one.path == failed.path and one.call != "truncate"] == []


@pytest.mark.parametrize("durability", DURABILITIES)
def test_promises_hold_after_a_failed_sync(told, place, durability):
    """What was acknowledged is there, and what was refused is not."""
    told(durability)

    oracle.check(place)
