"""`telemetry collect`: polling a collector without running the service."""

import json
import signal

import pytest

from tests.ports import lasting_port

COLLECTOR = """
import itertools
from telemetry_core import CollectorType, hookimpl
numbers = itertools.count(1)
def read():
    number = next(numbers)
    yield "fake.before", number
    {body}
    yield "fake.after", number
@hookimpl
def telemetry_register_collector():
    return CollectorType(name="fake", summary="a fake one", open=lambda: read)
"""
FAILS_ONCE = "if number == 1: raise OSError('the bus is stuck\\\\n\\\\x1b[31m')"
FAST = ("--every", "0.02", "--storage", "memory:")


def test_so_many_readings_are_recorded(telemetry, install):
    """With --count it ends by itself, and --json shows each event."""
    install("fake", COLLECTOR.format(body="pass"))
    done = telemetry("collect", "fake", "--count", 2, "--json", *FAST)

    assert (0, "collecting fake every 0.02 s\n") == (done.code, done.err)
    assert [("fake.before", 1), ("fake.after", 1), ("fake.before", 2), ("fake.after", 2)] == [
        (event["type"], event["data"]) for event in done.json_lines
    ]


def test_without_json_stdout_stays_empty(telemetry):
    """What was recorded is in the storage."""
    done = telemetry("collect", "host", "--count", 1, *FAST)
    assert (0, "") == (done.code, done.out)


def test_a_reading_that_fails_costs_only_itself(telemetry, install):
    """What came before the error is recorded, the next reading is taken, and the code tells."""
    install("fake", COLLECTOR.format(body=FAILS_ONCE))
    done = telemetry("collect", "fake", "--count", 2, "--json", *FAST)

    assert 1 == done.code
    assert ["fake.before", "fake.before", "fake.after"] == [
        event["type"] for event in done.json_lines
    ]
    assert [
        "collecting fake every 0.02 s",
        r"telemetry: warning: collector 'fake' failed: OSError: the bus is stuck\n\x1b[31m",
        "telemetry: warning: collector 'fake' works again",
        "Error: 1 of 2 readings failed",
    ] == done.err.splitlines()


def test_the_same_failure_is_told_once(telemetry, install):
    """A sensor that is unplugged all night fills no log."""
    install("fake", COLLECTOR.format(body="raise OSError('unplugged')"))
    done = telemetry("collect", "fake", "--count", 5, *FAST)

    assert 1 == done.err.count("unplugged")
    assert "Error: 5 of 5 readings failed\n" in done.err


def test_it_goes_to_the_service(telemetry, service):
    """Its events are current there."""
    assert 0 == telemetry("collect", "host", "--count", 1, *service.at).code
    assert 0 == telemetry("current", "host.cpu", *service.at).code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_well(commands, telemetry, tmp_path, eventually, number):
    """Without a count that is the way to end it; what was recorded is on disk."""
    site = tmp_path / "site"
    running = commands.start(
        *("collect", "host", "--every", "0.05", "--json", "--storage", site),
    )
    eventually(lambda: running.out)

    assert 0 == running.end(number)
    last = json.loads(running.out.splitlines()[-1])
    assert last["seq"] == max(
        event["seq"] for event in telemetry("current", "--json", "--storage", site).json.values()
    )


def test_an_end_before_the_last_reading_is_told(commands, eventually):
    """Whoever counted on the readings learns that they are not all there."""
    running = commands.start(
        *("collect", "host", "--every", "30", "--count", 2, "--json", "--storage", "memory:"),
    )
    eventually(lambda: running.out)

    assert 130 == running.end(signal.SIGINT)
    assert "Error: interrupted before the last reading\n" in running.err


def test_a_service_that_goes_away_costs_only_readings(commands, eventually):
    """It tries again, and goes on where the service is back."""
    service = commands.serve(port=lasting_port())
    running = commands.start("collect", "host", "--every", "0.1", "--json", *service.at)
    eventually(lambda: running.out)
    service.running.end(signal.SIGKILL)
    eventually(lambda: "collector 'host' failed: ServerUnreachableError" in running.err)
    before = len(running.out)
    commands.serve(port=service.port)
    eventually(lambda: "collector 'host' works again" in running.err)

    eventually(lambda: len(running.out) > before)
    assert 0 == running.end(signal.SIGTERM)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nope", "--storage", "memory:"), 2, "no collector named 'nope'; installed: 'host'"),
        (("host", "--port", 1), 4, "no answer from http://localhost:1"),
        (("host", "--every", "0"), 2, "'--every': 0"),
        (("host", "--count", "0"), 2, "'--count': 0"),
        ((), 2, "Missing argument 'NAME'"),
    ],
)
def test_what_cannot_be_collected_is_told(telemetry, words, code, said):
    """At once, and not at every reading."""
    done = telemetry("collect", *words)

    assert (code, "") == (done.code, done.out)
    assert said in done.err


def test_a_collector_that_cannot_be_opened_is_told(telemetry, install):
    """With its name, and what it says itself."""
    opens = "lambda: 1 / 0"
    install("fake", COLLECTOR.format(body="pass").replace("lambda: read", opens))
    done = telemetry("collect", "fake", *FAST)

    assert 1 == done.code
    assert "'fake' cannot be loaded: ZeroDivisionError: division by zero" in done.err
