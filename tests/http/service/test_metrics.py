"""What Prometheus is told is what happened."""

import re
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

EVENT = {"type": "weather", "data": 1}


def samples(service):
    """Return each sample by its name and its labels."""
    answer = service.ask("GET", "/metrics")
    assert 200 == answer.status
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.fixture
def service(serve):
    """A service that nobody else asks."""
    return serve()


def test_events_are_counted_by_what_became_of_them(service):
    """A retry is no second event, and what is refused is counted too."""
    for event in (EVENT, {**EVENT, "id": "a"}, {**EVENT, "id": "a"}, {**EVENT, "type": ""}):
        service.ask("POST", "/event", event)
    service.ask("POST", "/event", {**EVENT, "id": "a", "data": 2})
    found = samples(service)

    assert 2 == found["telemetry_http_events_total", "recorded"]
    assert 1 == found["telemetry_http_events_total", "duplicate"]
    assert 2 == found["telemetry_http_events_total", "refused"]
    assert 2 == found["telemetry_last_seq",]


def test_requests_are_counted_by_route_and_status(service):
    """By the template of the route: what stands in a path makes no series of its own."""
    for type_ in ("a", "b/c", "%0a"):
        service.ask("GET", f"/current/{type_}")
    service.ask("GET", "/nothing/1")
    service.ask("GET", "/nothing/2")
    service.ask("BREW", "/current")
    service.ask("GET", "/current", headers={"Host": "evil.example"})
    found = samples(service)

    route = "/current/{type:path}"
    assert 3 == found["telemetry_http_requests_total", *sorted(["GET", route, "404"])]
    assert 3 == found["telemetry_http_request_duration_seconds_count", *sorted(["GET", route])]
    assert 2 == found["telemetry_http_requests_total", *sorted(["GET", "unknown", "404"])]
    assert 1 == found["telemetry_http_requests_total", *sorted(["other", "/current", "405"])]
    assert 1 == found["telemetry_http_requests_total", *sorted(["GET", "unknown", "421"])]


def test_it_tells_whether_a_run_is_active(service):
    """And what was not said loudly."""
    before = samples(service)
    service.ask("POST", "/run/start")
    after = samples(service)

    assert (0, 1) == (before["telemetry_run_active",], after["telemetry_run_active",])
    assert 1 == after["telemetry_storage_ready",]
    assert 0 == after["telemetry_observers_missed_total",]
    assert 0 == after["telemetry_numbers_nulled_total",]


def test_it_is_told_in_the_format_that_is_asked_for(service):
    """Prometheus asks for OpenMetrics, a browser for text."""
    asked = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = service.ask("GET", "/metrics", headers=asked)

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    plain = service.ask("GET", "/metrics")
    assert plain.headers["content-type"].startswith("text/plain")
    assert re.search(r"^# HELP telemetry_http_events_total ", plain.text, re.MULTILINE)


def test_a_storage_that_cannot_write_is_told(service):
    """`/ready` says why, and so does every event; what is current is answered on."""
    service.ask("POST", "/event", EVENT)
    service.site_dir.rename(service.site_dir.with_name("gone"))
    time.sleep(0.01)  # the writer looks where its files are once in a millisecond
    refused = service.ask("POST", "/event", EVENT)
    ready = service.ask("GET", "/ready")

    assert refused.status in (503, 507)
    assert (503, "5") == (ready.status, ready.headers["retry-after"])
    assert str(service.site_dir.name) in ready.json["detail"]
    assert 0 == samples(service)["telemetry_storage_ready",]
