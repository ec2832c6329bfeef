"""`telemetry current`: the latest event of each type, once or as it changes, for a pipe."""

import json
import signal

import pytest

from tests.ports import lasting_port


def _fill(telemetry, where):
    telemetry("record", "weather", '{"sky": "clear"}', *where)
    telemetry("record", "a/b ☃", "1", "--ts", "2026-03-18T00:05:48.955123456Z", *where)
    telemetry("record", "weather", '{"sky": "cloudy"}', *where)


@pytest.fixture(params=["service", "storage"])
def where(request, telemetry, tmp_path):
    """A site with three events of two types, by the words that a command is given for it."""
    at = ("--storage", str(tmp_path / "site"))
    if request.param == "service":
        at = request.getfixturevalue("service").at
    if telemetry("current", "weather", *at).code:
        _fill(telemetry, at)
    return at


def test_each_type_has_a_line(telemetry, where):
    """Type, time, seq and data, split by tabs, in order of seq."""
    rows = telemetry("current", *where).rows

    assert ["a/b ☃", "weather"] == [row[0] for row in rows]
    assert ["a/b ☃", "2026-03-18T00:05:48.955123456Z", "2", "1"] == rows[0]
    assert ["3", '{"sky":"cloudy"}'] == rows[1][2:]


@pytest.mark.parametrize("type_", ["weather", "a/b ☃"])
def test_one_type_is_asked_for_by_name(telemetry, where, type_):
    """Also one with a slash or a snowman in it."""
    assert [type_] == [row[0] for row in telemetry("current", type_, *where).rows]


def test_json_is_one_document(telemetry, where):
    """Envelopes by type, or the one envelope that was asked for."""
    every = telemetry("current", "--json", *where).json
    one = telemetry("current", "weather", "--json", *where).json

    assert {"a/b ☃", "weather"} == set(every)
    assert ["seq", "ts", "type", "data", "meta"] == list(one)
    assert one == every["weather"]


def test_a_type_that_is_not_there_is_not_found(telemetry, where):
    """With a code of its own, also as JSON."""
    for more in ((), ("--json",)):
        done = telemetry("current", "nope", *more, *where)
        assert (3, "") == (done.code, done.out)
        assert "Error: no current event of type 'nope'\n" == done.err


def test_nothing_recorded_is_nothing(telemetry):
    """Said on stderr; on stdout there is nothing, or an empty document."""
    done = telemetry("current", "--storage", "memory:")

    assert (0, "", "nothing was recorded yet\n") == (done.code, done.out, done.err)
    assert {} == telemetry("current", "--json", "--storage", "memory:").json


FOLLOW = ("current", "--follow", "--interval", "0.05")


@pytest.fixture
def site(telemetry, tmp_path):
    """A site of the test alone, with the same events."""
    at = ("--storage", str(tmp_path / "followed"))
    _fill(telemetry, at)
    return at


def test_follow_shows_what_changes(telemetry, commands, site, eventually):
    """First what is current, then each new value once, in the order it was recorded."""
    following = commands.start(*FOLLOW, *site)
    eventually(lambda: following.out.count("\n") == 2)
    for number in range(3):
        telemetry("record", "weather", number, *site)
        eventually(lambda: following.out.endswith(f"\t{number}\n"))  # noqa: B023 - called at once

    assert ["a/b ☃", *["weather"] * 4] == [
        line.split("\t")[0] for line in following.out.splitlines()
    ]


def test_follow_of_one_type_shows_no_other(telemetry, commands, site, eventually):
    """Also when it was not recorded before."""
    following = commands.start(*FOLLOW, "new", "--json", *site)
    telemetry("record", "weather", "1", *site)
    telemetry("record", "new", "2", *site)
    eventually(lambda: following.out)

    assert [("new", 2)] == [
        (event["type"], event["data"]) for event in map(json.loads, following.out.splitlines())
    ]


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_follow_outlives_the_service(telemetry, commands, eventually, more):
    """It says once that nobody answers, once that somebody does, and goes on."""
    service = commands.serve(port=lasting_port())
    telemetry("record", "weather", "1", *service.at)
    following = commands.start(*FOLLOW, *more, *service.at)
    eventually(lambda: following.out)
    service.running.end(signal.SIGKILL)
    eventually(lambda: "; trying again\n" in following.err)
    commands.serve(port=service.port)
    eventually(lambda: following.err.endswith("the service answers again\n"))
    telemetry("record", "weather", '"after"', *service.at)
    eventually(lambda: '"after"' in following.out)

    assert 2 == following.err.count("\n")
    assert 2 == following.out.count("\n")


def test_follow_begins_only_where_somebody_answers(telemetry):
    """A mistyped port is told at once."""
    assert 4 == telemetry(*FOLLOW, "--port", 1).code


def test_an_interrupt_ends_following(commands, site, eventually):
    """With the code of an interrupt, and without a traceback."""
    following = commands.start(*FOLLOW, *site)
    eventually(lambda: following.out)

    assert 130 == following.end(signal.SIGINT)
    assert "" == following.err


@pytest.mark.parametrize("interval", ["0", "-1", "0.01", "x"])
def test_an_interval_that_is_too_short_is_a_usage_error(telemetry, interval):
    """A service is not to be asked without a pause."""
    assert 2 == telemetry("current", "--follow", "--interval", interval).code
