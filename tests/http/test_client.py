"""TelemetryClient against a real service: every method that existing programs call."""

import math
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest
from astropy import units

from telemetry_core import InvalidEventError
from telemetry_http import TelemetryClient, TelemetryClientError, TelemetryEvent


@pytest.fixture
def client(server):
    """Return a client of a running service."""
    with TelemetryClient(port=server.port, host="127.0.0.1") as client:
        yield client


def test_health_and_readiness_are_told(client):
    """Programs wait for these before they go on."""
    assert client.health() == {"ok": True}
    assert {"ready": True, "run_active": False}.items() <= client.ready().items()


def test_an_event_is_returned_as_it_was_recorded(client, server):
    """The answer has a number, a time, and what was given."""
    event = client.post_event("weather", {"sky": "clear"}, meta={"source": "client"})

    assert isinstance(event, TelemetryEvent)
    assert ("weather", {"sky": "clear"}) == (event.type, event["data"])
    assert event["meta"] == {"source": "client"}
    assert server.lines() == [event]


def test_current_is_what_was_posted_last(client):
    """One type and all of them are read the same way."""
    client.post_event("weather", 1)
    weather = client.post_event("weather", 2)
    power = client.post_event("power", {"main": True})

    assert weather == client.current_event("weather")
    assert {"weather": weather, "power": power} == client.current()


def test_an_event_may_stay_out_of_current_and_of_the_files(client, server):
    """The two switches of an event, by position as in the old client."""
    kept = client.post_event("weather", 1, False)  # noqa: FBT003
    shown = client.post_event("weather", 2, True, None, False)  # noqa: FBT003

    assert shown == client.current_event("weather")
    assert [line["seq"] for line in server.lines()] == [kept.seq]


def test_a_missing_type_is_an_error_of_status_404(client):
    """`current_event` raises where `get_current` gives None."""
    with pytest.raises(TelemetryClientError, match="weather") as caught:
        client.current_event("weather")

    assert caught.value.status_code == 404
    assert "weather" in caught.value.detail


def test_a_refusal_says_what_is_wrong_and_where(client):
    """The detail of the problem document reaches the caller with the path."""
    with pytest.raises(TelemetryClientError) as caught:
        client.post_event("weather", 1, ts="banana")

    assert caught.value.status_code == 422
    assert "$.ts" in caught.value.detail
    assert "banana" in caught.value.detail


def test_data_is_any_json_value(client):
    """The old client stored lists and booleans and could then read nothing at all."""
    for data in (True, None, 0, -1.5, "6562", [], [1, [2]], {"value": 1}):
        client.insert_current("safety", data)

        assert data == client.get_current("safety")["data"]
        assert data == client.current()["safety"].data


def test_types_are_read_back_however_they_are_spelt(client):
    """A type is a name, no path."""
    types = [
        "a/b", "/", "/a", "a/", "a//b", ".", "..", "../x", "a/../b", "./a", "a?b=c", "a#b", "100%",
        "%2F", "%", "a b", "a+b", "a;b", "a&b", "météo", "天气", "🔭", "current", "...", "a:b",
        "\\",
    ]  # fmt: skip
    posted = {event_type: client.post_event(event_type, event_type) for event_type in types}

    assert posted == client.current()
    assert posted == {event_type: client.get_current(event_type) for event_type in types}


def test_the_time_is_the_clients(server):
    """Simulated time comes from the client, and what is given explicitly wins."""
    noon = datetime(2026, 3, 18, 12, tzinfo=UTC)

    with TelemetryClient(
        "127.0.0.1", server.port, clock=lambda: int(noon.timestamp()) * 10**9
    ) as client:
        assert client.post_event("a", 1).ts == "2026-03-18T12:00:00.000Z"
        assert client.post_event("a", 1, ts="2026-03-18T02:00:00+02:00").ts.startswith(
            "2026-03-18T00:00:00"
        )
        assert client.post_event("a", 1, ts=noon.replace(hour=13)).ts == "2026-03-18T13:00:00.000Z"


def test_a_naive_time_is_refused_before_it_is_sent(client):
    """Nobody could say which instant is meant."""
    with pytest.raises(InvalidEventError, match=r"\$\.ts: .*no zone"):
        client.post_event("a", 1, ts=datetime(2026, 3, 18))

    assert client.current() == {}


def test_a_run_is_started_told_and_stopped(client, server):
    """The life of a run as POCS has it: named after its directory."""
    started = client.start_run(run_dir="runs/20260520_M42", meta={"target": "M42"})
    event = client.post_event("status", {"state": "running"})

    assert started == client.get_run()
    assert started["run_id"] == started["meta"]["run_id"] == event.meta["run_id"] == "20260520_M42"
    assert started["meta"]["target"] == "M42"
    assert Path(started["run_dir"]) == server.site_dir / "runs/20260520_M42"
    assert client.ready()["run_active"] is True
    assert client.stop_run()["run_id"] == "20260520_M42"
    assert client.ready()["run_active"] is False


def test_a_run_has_the_id_it_was_given(client):
    """`run_id` wins over one in `meta`, and a directory may be a path."""
    assert client.start_run(Path("m42"), "first", {"run_id": "other"})["run_id"] == "first"


def test_a_run_needs_no_arguments(client):
    """The service takes the next number."""
    assert client.start_run()["run_id"] == "001"


def test_runs_conflict(client):
    """409 when one is active, 404 when none is."""
    statuses = []
    for call in (client.get_run, client.stop_run, client.start_run, client.start_run):
        try:
            call()
        except TelemetryClientError as error:
            statuses.append(error.status_code)

    assert statuses == [404, 404, 409]


def test_runs_are_listed_with_how_they_ended(client):
    """All of them, and one by its id."""
    client.start_run(run_id="first")
    client.post_event("status", 1)
    client.stop_run("failed", reason="clouds")
    client.start_run(run_id="second")

    assert [run["run_id"] for run in client.runs()] == ["first", "second"]
    first = client.run("first")
    assert client.runs()[0] == first
    assert ("failed", "clouds", 1) == (first["status"], first["reason"], first["events"])
    assert client.run("second")["stopped_at"] is None
    for unknown in ("third", "..", "a/b", "a?b"):
        with pytest.raises(TelemetryClientError) as caught:
            client.run(unknown)
        assert caught.value.status_code == 404


def test_an_event_may_stay_out_of_the_run(client, server):
    """Ambient data goes to the site stream while a run is active."""
    client.start_run(run_id="first")
    event = client.post_event("weather", 1, stream="site")

    assert "run_id" not in event.meta
    assert "weather" in next(server.site_dir.glob("site_*.ndjson")).read_text("utf-8")


def test_an_id_is_stored_once(client, server):
    """Whoever gives an id may send the event again."""
    first = client.post_event("weather", 1, id="abc", ts="2026-03-18T00:00:00Z")
    again = client.post_event("weather", 1, id="abc", ts="2026-03-18T00:00:00Z")

    assert first == again
    assert [line["seq"] for line in server.lines()] == [first.seq]


def test_shutdown_ends_the_service(client, server):
    """The process ends by itself, with a client connected."""
    assert client.shutdown() == {"shutting_down": True}
    assert server.process.wait(20) == 0


def test_the_names_of_pandb_work(client, server):
    """Code written against PanDB goes on with the client in its place."""
    first = client.insert_current("environment", {"temp_c": 15.2})
    second = client.insert_current("environment", {"temp_c": 15.3}, store_permanently=False)
    third = client.insert("environment", {"temp_c": 15.4})
    record = client.get_current("environment")

    assert [int(first), int(second), int(third)] == sorted(map(int, {first, second, third}))
    assert {"temp_c": 15.3} == record["data"]
    assert (second, record.ts) == (record["_id"], record["date"])
    assert [15.2, 15.4] == [line["data"]["temp_c"] for line in server.lines()]
    assert client.get_current("nothing") is None


def test_an_event_is_found_in_the_history(client):
    """By its collection and the id that `insert` gave."""
    first = client.insert("weather", 1)
    client.insert("weather", 2)

    assert 1 == client.find("weather", first)["data"]
    assert first == client.find("weather", first)["_id"]
    assert client.find("power", first) is None
    assert client.find("weather", "999") is None
    assert client.find("weather", "../x") is None


def test_clear_current_changes_nothing(client):
    """What is current belongs to all clients."""
    client.insert_current("weather", 1)

    assert client.clear_current("weather") is None
    assert client.get_current("weather")["data"] == 1


def test_errors_other_than_404_are_not_hidden(server):
    """`None` means that there is no such event, never that nobody can say."""
    with TelemetryClient(base_url=f"{server.url}/health") as client:
        assert client.get_current("weather") is None
    with (
        TelemetryClient(base_url=f"{server.url}/event#") as client,
        pytest.raises(TelemetryClientError) as caught,
    ):
        client.get_current("weather")

    assert caught.value.status_code == 405


def test_values_that_json_does_not_know_are_made_plain(client):
    """The converters of the core are used, so that the service gets what an embedded one would."""
    client.insert_current(
        "image",
        {
            "path": Path("/images/1.fits"),
            "at": datetime(2026, 3, 18, 1, 2, 3),
            "alt": 45.5 * units.deg,
            "pixels": ([1, 2] * units.m).value,
            5: "a key that is no text",
        },
    )

    data = client.get_current("image")["data"]
    assert data == {
        "path": "/images/1.fits",
        "at": "2026-03-18T01:02:03",
        "alt": {"value": 45.5, "unit": "deg"},
        "pixels": [1.0, 2.0],
        "5": "a key that is no text",
    }


def test_quantities_come_back(server):
    """What was given as a Quantity is read as one, whichever of the two decodings is used."""
    for decode in ("units", "panoptes"):
        with TelemetryClient("127.0.0.1", server.port, decode=decode) as client:
            posted = client.post_event("mount", {"where": {"alt": 45.5 * units.deg}})

            for event in (posted, client.get_current("mount"), client.current()["mount"]):
                assert event["data"]["where"]["alt"] == 45.5 * units.deg


def test_pocs_reads_a_naive_time(server):
    """`record["data"]["timestamp"].replace(tzinfo=…)` is how POCS tells how old the weather is."""
    with TelemetryClient("127.0.0.1", server.port, decode="panoptes") as client:
        client.insert_current("weather", {"timestamp": datetime(2026, 3, 18, 1, 2, 3, 456789)})
        record = client.get_current("weather")

    assert record["data"]["timestamp"] == datetime(2026, 3, 18, 1, 2, 3, 456789)
    assert isinstance(record["date"], str)


def test_what_json_cannot_express_is_never_sent(client):
    """The error names the place, and the service hears nothing."""
    for event_type, data, meta in (
        ("a", object(), None),
        ("a", {"deep": [1, {"x": object()}]}, None),
        ("a", "\ud800", None),
        ("a", 2**70, None),
        ("a", 1, {"x": object()}),
        (b"a", 1, None),
        ("\udcff", 1, None),
    ):
        with pytest.raises(InvalidEventError, match=r"^\$\."):
            client.post_event(event_type, data, meta=meta)

    assert client.current() == {}


def test_data_may_nest_as_deep_as_the_core_allows(client):
    """The body around it takes none of the depth away."""
    data = []
    for _ in range(95):
        data = [data]

    assert data == client.post_event("a", data).data


def test_nan_becomes_null(client):
    """JSON has no NaN, and a sensor that has none today must not stop the program."""
    assert client.post_event("a", {"x": math.nan}).data == {"x": None}


def test_too_large_an_event_is_refused_by_the_service(client):
    """How large an event may be is set there, so the client does not judge."""
    with pytest.raises(TelemetryClientError) as caught:
        client.post_event("a", "x" * 2_000_000)

    assert caught.value.status_code == 413
    assert client.health() == {"ok": True}


def test_a_client_can_be_sent_to_another_process(client):
    """The copy makes connections of its own."""
    client.health()

    with pickle.loads(pickle.dumps(client)) as copy:
        assert copy.base_url == client.base_url
        assert copy.health() == client.health()
