"""`/v1/runs`: finding, starting, stopping and keeping runs, over a real socket."""

import time
from urllib.parse import urlencode

import pytest


@pytest.fixture(scope="module")
def filled(shared_server):
    """Return a service with three runs, the last one active."""
    shared_server.post("/v1/runs", {"run_id": "A", "meta": {"target": "M42", "n": 1, "ok": True}})
    shared_server.post("/event", {"type": "w", "data": 1})
    shared_server.post("/v1/runs/A/stop", {"status": "failed", "reason": "clouds"})
    shared_server.post("/v1/runs", {"run_id": "B", "meta": {"target": "M31", "n": "1"}})
    shared_server.post("/v1/runs/B/stop")
    shared_server.post("/v1/runs", {"run_id": "C", "meta": {"target": "M42", "a.b": None}})
    return shared_server


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "ABC"),
        ({"status": "active"}, "C"),
        ({"status": "failed"}, "A"),
        ({"meta.target": "M42"}, "AC"),
        ({"meta.target": "M42", "status": "active"}, "C"),
        ({"meta.target": "M42", "meta.n": "1"}, "A"),
        ({"meta.n": "1"}, "AB"),
        ({"meta.n": '"1"'}, "B"),
        ({"meta.ok": "true"}, "A"),
        ({"meta.ok": "1"}, ""),
        ({"meta.a.b": "null"}, ""),
        ({"meta.nothing": "1"}, ""),
        ({"from": "2001-01-01T00:00:00Z"}, "ABC"),
        ({"to": "2001-01-01T00:00:00Z"}, ""),
        ({"from": "2201-01-01T00:00:00Z"}, "C"),
    ],
)
def test_runs_are_found(filled, query, expected):
    """By status, by what their meta says, and by the time that they overlap."""
    runs = filled.get(f"/v1/runs?{urlencode(query)}").json["runs"]

    assert expected == "".join(run["run_id"] for run in runs)


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("status=done", "$.status"),
        ("from=now", "$.from"),
        ("to=now", "$.to"),
        ("meta=x", "$.meta"),
        ("meta.=x", "$.meta."),
        ("target=x", "$.target"),
    ],
)
def test_a_search_that_cannot_be_says_where(filled, query, path):
    """422 with the parameter."""
    answer = filled.get(f"/v1/runs?{query}")

    assert 422 == answer.status
    assert [path] == [one["path"] for one in answer.json["errors"]]


def test_a_run_is_shown_with_its_counts(filled):
    """And how it ended."""
    run = filled.get("/v1/runs/A").json

    assert ("failed", "clouds", 1) == (run["status"], run["reason"], run["events"])
    assert run["first_seq"] == run["last_seq"] == 1


def test_a_started_run_is_created(server):
    """201 with its place; no body at all starts the next number."""
    answer = server.post("/v1/runs")

    assert (201, "/v1/runs/001") == (answer.status, answer.headers["location"])
    assert answer.json == server.get("/v1/runs/001").json


def test_a_conflict_is_an_error_unless_asked_otherwise(server):
    """The first run goes on."""
    server.post("/v1/runs", {"run_id": "A"})

    assert 409 == server.post("/v1/runs", {"run_id": "B"}).status
    assert 409 == server.post("/v1/runs", {"run_id": "A", "on_conflict": "error"}).status
    assert "A" == server.get("/run").json["run_id"]


def test_a_conflict_may_stop_the_other_run(server):
    """It ends as aborted, and says why; its own id is stopped and resumed."""
    server.post("/v1/runs", {"run_id": "A"})

    answer = server.post("/v1/runs", {"run_id": "B", "on_conflict": "stop"})
    again = server.post("/v1/runs", {"run_id": "B", "on_conflict": "stop"})

    assert (201, "B", 201) == (answer.status, answer.json["run_id"], again.status)
    stopped = server.get("/v1/runs/A").json
    assert ("aborted", "another run was started") == (stopped["status"], stopped["reason"])


def test_a_run_may_be_joined(server):
    """By its id or by none, not by another one."""
    started = server.post("/v1/runs", {"run_id": "A", "on_conflict": "join"})
    joined = [
        server.post("/v1/runs", {"run_id": run_id, "on_conflict": "join"})
        for run_id in ("A", None, "B")
    ]

    assert 201 == started.status
    assert [200, 200, 409] == [answer.status for answer in joined]
    assert started.json == joined[0].json == joined[1].json


def test_joining_is_a_sign_of_life(server):
    """Who joins again and again keeps the run as a heartbeat does."""
    server.post("/v1/runs", {"run_id": "A", "lease_s": 1})
    begin = time.monotonic()
    while time.monotonic() - begin < 2:
        assert 200 == server.post("/v1/runs", {"on_conflict": "join"}).status
        time.sleep(0.1)

    assert "active" == server.get("/v1/runs/A").json["status"]


@pytest.mark.parametrize(
    "body",
    [
        {"on_conflict": "maybe"},
        {"lease_s": 0},
        {"lease_s": 0.99},
        {"lease_s": -1},
        {"lease_s": True},
        {"lease_s": "1"},
        {"run_id": "../x"},
        {"unknown": 1},
    ],
)
def test_a_run_that_cannot_be_is_refused(server, body):
    """422, and none is started."""
    assert 422 == server.post("/v1/runs", body).status
    assert 404 == server.get("/run").status


def test_only_the_active_run_is_stopped(server):
    """The one that is meant, with its status and reason."""
    server.post("/v1/runs", {"run_id": "A"})

    assert 404 == server.post("/v1/runs/B/stop").status
    assert 422 == server.post("/v1/runs/A/stop", {"status": "active"}).status
    answer = server.post("/v1/runs/A/stop", {"status": "aborted", "reason": "rain"})
    assert ("aborted", "rain") == (answer.json["status"], answer.json["reason"])
    assert 404 == server.post("/v1/runs/A/stop").status


def test_a_run_whose_owner_is_gone_ends_as_lost(server, start_server, eventually):
    """Also when the service was killed meanwhile: the open run is resumed with its lease."""
    server.post("/v1/runs", {"run_id": "A", "lease_s": 1})
    eventually(lambda: server.get("/v1/runs/A").json["status"] == "lost")

    server.post("/v1/runs", {"run_id": "B", "lease_s": 3})
    assert {"run_id": "B", "lease_s": 3.0} == server.post("/v1/runs/B/heartbeat").json
    assert 404 == server.post("/v1/runs/A/heartbeat").status
    server.kill()
    again = start_server()

    assert "B" == again.get("/run").json["run_id"]
    eventually(lambda: again.get("/v1/runs/B").json["status"] == "lost")
    assert 404 == again.post("/v1/runs/B/heartbeat").status
