"""A storage that hangs costs those who wait for it an error, and nobody else anything."""

import concurrent.futures

import pytest

HANGING = """
import sys, threading
from telemetry_core import Capabilities
from telemetry_core.memory import MemorySettings, MemoryStorage
from telemetry_http.server import run_service
from telemetry_http.service import TelemetryService

class Hanging(MemoryStorage):
    '''Hangs in what it is told to, once an event of the type `hang` comes.'''

    hangs = set()

    @property
    def capabilities(self):
        return Capabilities(costly_commit=sys.argv[3] == "costly", keeps_ephemeral=True)

    def wait_for_ever(self, what):
        if what in self.hangs:
            threading.Event().wait()

    def append(self, drafts, recorded_ns):
        if any(draft.type == "hang" for draft in drafts):
            Hanging.hangs = set(sys.argv[1].split(","))
        self.wait_for_ever("append")
        return super().append(drafts, recorded_ns)

    def runs(self):
        if threading.current_thread().name != "telemetry-writer":
            self.wait_for_ever("runs")
        return super().runs()

    def check_writable(self):
        self.wait_for_ever("check_writable")

with TelemetryService(
    storage=Hanging(MemorySettings(url="memory:")), storage_timeout_s=float(sys.argv[2])
) as service:
    run_service(
        service, host="127.0.0.1", port=0,
        on_ready=lambda url: print("listening on", url, file=sys.stderr, flush=True),
    )
"""
EVENT = {"type": "weather", "data": 1}


@pytest.fixture
def hanging(run_program):
    """Return a function that starts a service whose storage hangs in some of its methods."""

    def start(what, timeout_s="0.4", commit="costly"):
        service = run_program(HANGING, what, timeout_s, commit)
        assert 200 == service.ask("POST", "/event", EVENT).status
        return service

    return start


@pytest.mark.parametrize("commit", ["costly", "cheap"])
def test_a_request_that_waits_for_it_is_answered(hanging, commit):
    """503, when to try again, and that nobody knows whether it was done."""
    service = hanging("append", commit=commit)
    answer = service.ask("POST", "/event", {"type": "hang", "data": 1})

    assert 503 == answer.status
    assert answer.headers["retry-after"].isdigit()
    assert "outcome" in answer.json["detail"]


@pytest.mark.parametrize("commit", ["costly", "cheap"])
def test_nobody_else_is_harmed(hanging, commit):
    """However many wait: what needs no storage, and what the storage has in memory, is answered."""
    service = hanging("append", commit=commit)
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        event = {"type": "hang", "data": 1}
        asked = [pool.submit(service.ask, "POST", "/event", event) for _ in range(200)]
        for path in ("/health", "/current", "/current/weather", "/run", "/v1/runs", "/metrics"):
            assert service.ask("GET", path).status in (200, 404)
        answers = [one.result() for one in asked]

    assert {503} == {answer.status for answer in answers}
    assert 200 == service.ask("GET", "/current").status


def test_reading_that_hangs_keeps_nobody_from_recording(hanging):
    """Questions have threads of their own."""
    service = hanging("runs")
    assert 200 == service.ask("POST", "/event", {"type": "hang", "data": 1}).status
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        asked = [pool.submit(service.ask, "GET", "/v1/runs") for _ in range(50)]
        assert {503} == {one.result().status for one in asked}

    assert 200 == service.ask("POST", "/event", EVENT).status
    assert 200 == service.ask("GET", "/health").status


def test_a_batch_that_waits_for_it_is_answered(hanging):
    """With the report on what was recorded before."""
    service = hanging("append")
    lines = {"Content-Type": "application/x-ndjson"}
    answer = service.ask("POST", "/v1/events", b'{"type":"hang","data":1}\n', headers=lines)

    assert (503, 0) == (answer.status, answer.json["accepted"])


def test_asking_how_it_is_keeps_nobody_from_anything(hanging):
    """A supervisor asks again and again, and each question would take a thread."""
    service = hanging("check_writable")
    service.ask("POST", "/event", {"type": "hang", "data": 1})
    for _ in range(5):
        assert 503 == service.ask("GET", "/ready").status
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        asked = [pool.submit(service.ask, "GET", "/ready") for _ in range(40)]
        assert {503} == {one.result().status for one in asked}

    assert "telemetry_storage_ready 0.0" in service.ask("GET", "/metrics").text
    assert 200 == service.ask("GET", "/v1/runs").status
    assert 200 == service.ask("POST", "/event", EVENT).status


def test_it_is_not_ready_while_an_append_hangs(hanging):
    """The storage itself would say that all is well."""
    service = hanging("append")
    assert 200 == service.ask("GET", "/ready").status
    service.ask("POST", "/event", {"type": "hang", "data": 1})
    answer = service.ask("GET", "/ready")

    assert 503 == answer.status
    assert "has not answered a request for" in answer.json["detail"]
    assert "telemetry_storage_ready 0.0" in service.ask("GET", "/metrics").text


@pytest.mark.usefixtures("many_files")
def test_more_than_may_wait_are_refused_at_once(hanging):
    """With when to try again, long before those that wait are answered."""
    service = hanging("append", "20")
    connections = []
    for _ in range(1100):
        connection = service.connection()
        connection.request(
            "POST", "/event", b'{"type":"hang","data":1}', {"Content-Type": "application/json"}
        )
        connections.append(connection)
    answer = connections[-1].getresponse()

    assert 503 == answer.status
    assert answer.headers["Retry-After"].isdigit()
    assert b"busy" in answer.read()
    assert 200 == service.ask("GET", "/health").status
    assert 'telemetry_http_waiting_requests{kind="changing"} 1000.0' in (
        service.ask("GET", "/metrics").text
    )
    for connection in connections:
        connection.close()


def test_it_ends_all_the_same(hanging):
    """It waits for the storage as long as a request would, and then leaves it."""
    service = hanging("append")
    service.ask("POST", "/event", {"type": "hang", "data": 1})

    assert 0 == service.end()
