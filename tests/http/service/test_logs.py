"""What is written about requests can be read by people and by programs, and by nobody misread."""

import asyncio
import json
import logging
import resource

import pytest

from telemetry_core import IdConflictError, StorageUnavailableError
from telemetry_http import TelemetryService
from telemetry_http.logs import JSONFormatter
from telemetry_http.metrics import Metrics
from telemetry_http.observation import Observation
from telemetry_http.outage import AGAIN_S, Outage

EVENT = {"type": "weather", "data": 1}


def lines(service, logger="telemetry_http.access"):
    """Return the records of one logger, of a service that writes JSON."""
    found = [json.loads(line) for line in service.log.splitlines()]
    return [each for each in found if each["logger"] == logger]


def test_a_request_is_a_line_of_json(serve, eventually):
    """With method, path, status and duration, and without the query."""
    service = serve("--log-format", "json", "--access-log")
    service.ask("POST", "/event", EVENT)
    service.ask("GET", "/current/a%0Ab%1b[31m?token=secret&x=%00")
    eventually(lambda: len(lines(service)) == 2)
    first, second = lines(service)

    assert ("POST", "/event", 200) == (first["method"], first["path"], first["status"])
    assert first["duration_s"] > 0
    assert "127.0.0.1" == first["client"]
    assert ("/current/a%0Ab%1b[31m", 404) == (second["path"], second["status"])
    assert "secret" not in service.log
    assert 0 == service.end()
    assert "stopped" == lines(service, "telemetry_http.commands.run")[-1]["message"]


def test_a_request_is_a_line_of_text(serve, eventually):
    """Nothing in it steers a terminal or begins another line."""
    service = serve("--access-log")
    path = b"/current/a%0A%1b[31m\x7f?token=secret"
    service.open(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nUser-Agent: evil\r\n\r\n")
    service.ask("GET", "/current/a%0A%1b[31m?token=secret")
    line = eventually(
        lambda: [line for line in service.log.splitlines() if line.startswith("GET ")]
    )[-1]

    assert line.startswith("GET /current/a%0A%1b[31m")
    assert line.endswith(" ms from 127.0.0.1")
    assert line.isprintable()
    assert "secret" not in service.log
    assert "evil" not in service.log


def test_requests_are_written_down_only_when_asked_for(serve):
    """There may be thousands a second."""
    for options in ((), ("--log-format", "json")):
        service = serve(*options)
        service.ask("GET", "/health")
        assert 0 == service.end()
        assert "/health" not in service.log


def test_no_query_is_written_whatever_the_server_calls_a_path(caplog):
    """Some servers have handed over the path with its query."""
    caplog.set_level(logging.INFO, "telemetry_http.access")

    async def answer(_, __, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def nowhere(_):
        pass

    with TelemetryService("memory:") as service:
        observed = Observation(answer, Metrics(service))
        scope = {"type": "http", "method": "GET", "path": "/a", "raw_path": b"/a?token=secret"}
        asyncio.run(observed(scope, None, nowhere))

    assert caplog.text.count("GET /a 204") == 1
    assert "secret" not in caplog.text


def test_every_record_is_one_line_of_json():
    """Whatever is in it: line breaks, errors, lone surrogates, objects."""
    record = logging.makeLogRecord(
        {
            "name": "a",
            "msg": "one\ntwo \udcff %s",
            "args": ({1: {2}},),
            "levelno": 30,
            "levelname": "WARNING",
            "path": object(),
        }
    )
    try:
        int("no\nnumber")
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    line = JSONFormatter().format(record)

    assert "\n" not in line
    found = json.loads(line)
    assert ("warning", "a") == (found["level"], found["logger"])
    assert found["message"].startswith("one\ntwo ")
    assert "ValueError" in found["error"]
    assert found["ts"].endswith("Z")


def test_a_full_disk_is_an_error_in_the_log(serve):
    """Of all who cannot record one is told, once: whoever looks after the service."""
    service = serve("--log-format", "json")
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (20_000, 20_000))
    large = {"type": "image", "data": "x" * 50_000}
    refused = [service.ask("POST", "/event", large).status for _ in range(5)]
    refused.append(service.ask("POST", "/v1/events", [large]).status)
    service.ask("POST", "/event", EVENT)

    assert [507] * 6 == refused
    (line,) = lines(service, "telemetry_http.outage")
    assert "ERROR" == line["level"].upper()
    assert line["message"].startswith("events are refused: no room to write ")


@pytest.fixture
def outage(caplog):
    """Return a function that tells of an error at a time, and returns how often that was logged."""
    now = [0.0]
    outage = Outage(lambda: now[0])

    def tell(error, at):
        now[0] = at
        outage.tell(error)
        return len(caplog.records)

    return tell


def test_an_outage_is_told_once_a_minute(outage):
    """A new reason at once."""
    gone, slow = (StorageUnavailableError("db", why) for why in ("gone", "slow"))

    assert 1 == outage(gone, 0) == outage(gone, AGAIN_S - 1)
    assert 2 == outage(gone, AGAIN_S) == outage(gone, 2 * AGAIN_S - 1)
    assert 3 == outage(slow, 2 * AGAIN_S - 1)


def test_what_a_caller_did_wrong_is_no_outage(outage):
    """The storage is well."""
    assert 0 == outage(IdConflictError("a", 1), 0)
