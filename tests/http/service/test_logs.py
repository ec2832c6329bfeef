"""What is written about requests can be read by people and by programs, and by nobody misread."""

import asyncio
import json
import logging

from telemetry_http import TelemetryService
from telemetry_http.logs import JSONFormatter
from telemetry_http.metrics import Metrics
from telemetry_http.observation import Observation

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
