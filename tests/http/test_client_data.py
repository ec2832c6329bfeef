"""TelemetryClient against a real service: many events, the history, the stream, kept runs."""

import itertools
from datetime import UTC, datetime

import pytest

from telemetry_core import Draft, InvalidEventError
from telemetry_http import ServerUnreachableError, TelemetryClient, TelemetryClientError
from telemetry_http.reports import RejectedLine
from tests.ports import lasting_port


@pytest.fixture
def client(server):
    """Return a client of a running service."""
    with TelemetryClient(port=server.port, host="127.0.0.1") as client:
        yield client


def drafts(*numbers, **more):
    """Return a draft for each of *numbers*."""
    return [Draft("w", {"n": number}, **more) for number in numbers]


def numbers(events):
    """Return what the *events* of `drafts` hold."""
    return [event.data["n"] for event in events]


def test_many_events_are_recorded_with_one_report(client, server):
    """In more than one request, which nobody sees."""
    report = client.post_events(draft for draft in drafts(*range(2500)))

    assert (2500, 0, 1, 2500) == (
        report.accepted,
        report.duplicates,
        report.first_seq,
        report.last_seq,
    )
    assert [*range(2500)] == [line["data"]["n"] for line in server.lines()]


def test_what_the_service_refuses_is_named_by_its_place(client):
    """Also when it stands in a later block, and when a whole block is refused."""
    events = drafts(*range(3000))
    events[0] = Draft("", 1)
    events[1000:2000] = [Draft("w", 1, stream="nowhere")] * 1000
    events[2001] = Draft("w", 1, ts="now")

    report = client.post_events(events)

    assert (1998, 1002) == (report.accepted, report.rejected_total)
    assert RejectedLine(1, report.rejected[0].detail) == report.rejected[0]
    assert [1, *range(1001, 2001), 2002] == [one.line for one in report.rejected]


def test_nothing_is_a_report_of_nothing(client):
    """An empty list is no error."""
    report = client.post_events([])

    assert (0, None) == (report.accepted, report.first_seq)


def test_an_event_that_is_no_json_stops_its_block(client, server):
    """Nothing of it was sent."""
    with pytest.raises(InvalidEventError):
        client.post_events([*drafts(1), Draft("w", {"n": 1j})])

    assert [] == server.lines()


def test_events_with_ids_may_be_posted_again(client, server):
    """They are stored once."""
    events = [Draft("w", 1, id="a"), Draft("w", 2, id="b")]
    client.post_events(events)

    assert 2 == client.post_events(events).duplicates
    assert 2 == len(server.lines())


@pytest.fixture
def filled(client):
    """Return a client of a service that has 2500 events."""
    client.post_events(drafts(*range(2000), ts="2026-03-18T00:00:00Z"))
    client.post_events(drafts(*range(2000, 2500), ts="2026-03-19T00:00:00Z"))
    return client


def test_the_history_is_read_page_by_page(filled):
    """Whatever is asked for, to its end and no further."""
    noon = datetime(2026, 3, 18, 12, tzinfo=UTC)

    assert [*range(2500)] == numbers(filled.history())
    assert [*range(2100)] == numbers(filled.history(limit=2100))
    assert [*range(100, 2500)] == numbers(filled.history(last=2400))
    assert [0, 1] == numbers(filled.history(types="w", limit=2))
    assert [] == numbers(filled.history(types=["x", "y"]))
    assert [*range(2000, 2500)] == numbers(filled.history(since=noon))
    assert [*range(2000)] == numbers(filled.history(until=noon))
    assert [2499] == numbers(filled.history(after=2499))
    assert [] == numbers(filled.history(limit=0))
    with pytest.raises(TelemetryClientError, match=r"\$.run"):
        next(filled.history(run="A", stream="site"))


def test_large_events_come_whole(client):
    """A page may hold fewer events than were asked for."""
    client.post_events(Draft("w", {"n": number, "x": "x" * 200_000}) for number in range(20))

    assert [*range(20)] == numbers(client.history())
    assert [*range(5, 20)] == numbers(client.history(last=15))
    assert [*range(15)] == numbers(client.history(limit=15))


def test_a_stream_follows(client):
    """From a seq on, and only what is asked for."""
    client.post_events([*drafts(1), Draft("x", {"n": 2}), *drafts(3)])
    with_past = client.stream(after=0, types="w")

    assert [1, 3] == numbers(itertools.islice(with_past, 2))
    client.post_events(drafts(4))
    assert [4] == numbers(itertools.islice(with_past, 1))
    with_past.close()


def test_runs_are_told_beside_the_events(client):
    """The active one at first, then each that starts and stops."""
    client.start_run(run_id="A")
    told = []
    stream = client.stream(
        after=0, on_run=lambda fact, run: told.append((fact, run and run["run_id"]))
    )
    client.post_events(drafts(1))
    next(stream)
    client.stop_run()
    while len(told) < 2:
        client.post_events(drafts(2))
        next(stream)
    stream.close()

    assert [("active", "A"), ("stopped", "A")] == told


def test_a_stream_outlives_the_service(start_server):
    """It goes on behind what it saw last, when the service is there again."""
    server = start_server(port=lasting_port())
    client = TelemetryClient("127.0.0.1", server.port)
    stream = client.stream(after=0)
    client.post_events(drafts(1, 2))
    assert [1, 2] == numbers(itertools.islice(stream, 2))
    server.kill()
    again = start_server(port=server.port)
    client.post_events(drafts(3, 4))

    assert [3, 4] == numbers(itertools.islice(stream, 2))

    again.post("/shutdown")
    again.process.wait(10)
    start_server(port=server.port)
    client.post_events(drafts(5))
    assert [5] == numbers(itertools.islice(stream, 1))
    stream.close()
    client.close()


def test_a_stream_of_nobody_is_an_error():
    """The first connection has to be made."""
    with (
        TelemetryClient("127.0.0.1", 1) as client,
        pytest.raises(ServerUnreachableError),
    ):
        next(client.stream())


def test_a_stream_that_cannot_be_says_why(client):
    """A refusal is no reason to try again."""
    with pytest.raises(TelemetryClientError, match=r"\$.run"):
        next(client.stream(run="A", stream="site"))


def test_a_run_is_kept_by_its_owner(client):
    """With a lease, heartbeats, and an answer to conflicts."""
    client.start_run(run_id="A", meta={"target": "M42"}, lease_s=30)

    assert 30 == client.heartbeat("A")
    assert "A" == client.start_run(on_conflict="join")["run_id"]
    assert "B" == client.start_run(run_id="B", on_conflict="stop")["run_id"]
    assert client.heartbeat("B") is None
    with pytest.raises(TelemetryClientError) as caught:
        client.heartbeat("A")
    assert 404 == caught.value.status_code


def test_what_was_current_is_told(client):
    """At a moment, as text or as a datetime."""
    client.post_event("w", 1, ts="2026-03-18T00:00:00Z")
    client.post_event("w", 2, ts="2026-03-19T00:00:00Z")

    assert 1 == client.current(at="2026-03-18T12:00:00+00:00")["w"].data
    assert {} == client.current(at=datetime(2026, 1, 1, tzinfo=UTC))
    assert 2 == client.current()["w"].data
