"""Every flow that existing programs rely on, over a real socket."""

import pytest

import telemetry_http


def test_health_says_that_it_is_alive(server):
    """The body is exactly what the old server's was."""
    answer = server.get("/health")

    assert (200, {"ok": True}) == (answer.status, answer.json)


def test_ready_tells_the_version_and_the_run(server):
    """A program waits for `ready` and looks whether a run is active."""
    before = server.get("/ready").json
    server.post("/run/start")

    assert {"ready": True, "run_active": False, "version": telemetry_http.__version__} == before
    assert server.get("/ready").json["run_active"] is True


def test_an_event_is_answered_with_the_five_keys(server):
    """The envelope has exactly five keys, and the data that was sent."""
    answer = server.post("/event", {"type": "weather", "data": {"sky": "clear"}})

    assert answer.status == 200
    assert ["seq", "ts", "type", "data", "meta"] == list(answer.json)
    assert {"sky": "clear"} == answer.json["data"]
    assert {} == answer.json["meta"]


@pytest.mark.parametrize("data", [True, None, 0, -1.5, "text", [], [1, [2]], {}, {"a": {"b": 1}}])
def test_data_is_any_json_value(server, data):
    """`insert_current("safety", True)` is legal."""
    server.post("/event", {"type": "safety", "data": data})

    assert data == server.get("/current/safety").json["data"]


def test_the_writers_time_wins(server):
    """Simulated time comes from the client; it is told in UTC."""
    answer = server.post(
        "/event", {"type": "weather", "data": 1, "ts": "2026-03-18T02:05:48.955123+02:00"}
    )

    assert "2026-03-18T00:05:48.955123Z" == answer.json["ts"]


def test_an_event_is_current_unless_it_asks_not_to_be(server):
    """`make_current: false` only adds to the history."""
    server.post("/event", {"type": "weather", "data": 1})
    server.post("/event", {"type": "weather", "data": 2, "make_current": False})

    assert 1 == server.get("/current/weather").json["data"]
    assert [1, 2] == [line["data"] for line in server.lines()]


def test_an_ephemeral_event_is_current_and_in_no_file(server):
    """`store_permanently: false` takes a seq and writes nothing."""
    answer = server.post("/event", {"type": "status", "data": 1, "store_permanently": False})

    assert 1 == answer.json["seq"]
    assert 1 == server.get("/current/status").json["data"]
    assert [] == server.lines()


def test_current_tells_every_type(server):
    """All current events stand under their types."""
    server.post("/event", {"type": "weather", "data": 1})
    server.post("/event", {"type": "power", "data": 2})

    current = server.get("/current").json["current"]

    assert {"weather": 1, "power": 2} == {type_: one["data"] for type_, one in current.items()}


def test_an_unknown_type_is_not_found(server):
    """404 with a detail, as the client expects it."""
    answer = server.get("/current/weather")

    assert 404 == answer.status
    assert "weather" in answer.json["detail"]


@pytest.mark.parametrize(
    ("type_", "quoted"),
    [
        ("a/b", "a%2Fb"),
        ("a/b", "a/b"),
        ("..", ".."),
        ("../../x", "..%2F..%2Fx"),
        ("a b?c%d", "a%20b%3Fc%25d"),
        ("тип", "%D1%82%D0%B8%D0%BF"),
        ("/", "%2F"),
    ],
)
def test_every_type_can_be_read_back(server, type_, quoted):
    """The old server lost types with a slash."""
    server.post("/event", {"type": type_, "data": 1})

    assert type_ == server.get(f"/current/{quoted}").json["type"]


def test_no_run_is_not_found(server):
    """Asking for, or stopping, a run that is not there is a 404."""
    assert 404 == server.get("/run").status
    assert 404 == server.post("/run/stop").status


def test_a_run_without_a_name_gets_the_next_number(server):
    """The number follows the highest numeric directory, with three digits at least."""
    (server.site_dir / "007").mkdir()

    first = server.post("/run/start").json
    server.post("/run/stop")
    second = server.post("/run/start", {}).json

    assert ["008", "009"] == [first["run_id"], second["run_id"]]
    assert str(server.site_dir / "008") == first["run_dir"]
    assert {"run_id": "008"} == first["meta"]
    assert {"run_dir", "run_id", "meta", "started_at"} == set(first)


def test_a_run_is_named_by_its_id_its_meta_or_its_directory(server):
    """`run_id`, then `meta.run_id`, then the last part of `run_dir`."""
    bodies = [
        {"run_id": "A", "meta": {"target": "M42"}},
        {"meta": {"run_id": "B"}},
        {"run_dir": "runs/20260520_M42"},
    ]
    runs = []
    for body in bodies:
        runs.append(server.post("/run/start", body).json)
        server.post("/run/stop")

    assert ["A", "B", "20260520_M42"] == [run["run_id"] for run in runs]
    assert {"target": "M42", "run_id": "A"} == runs[0]["meta"]
    assert str(server.site_dir / "runs/20260520_M42") == runs[2]["run_dir"]


def test_a_second_run_is_a_conflict(server):
    """409, and the first run goes on."""
    server.post("/run/start", {"run_id": "A"})

    answer = server.post("/run/start", {"run_id": "B"})

    assert 409 == answer.status
    assert "'A'" in answer.json["detail"]
    assert "A" == server.get("/run").json["run_id"]


def test_events_of_a_run_stand_in_its_file_under_its_id(server):
    """The caller's own `meta.run_id` is written over."""
    server.post("/run/start", {"run_id": "A"})

    answer = server.post("/event", {"type": "w", "data": 1, "meta": {"run_id": "X", "a": 1}})

    assert {"a": 1, "run_id": "A"} == answer.json["meta"]
    assert (server.site_dir / "A" / "telemetry.ndjson").read_text("utf-8").count("\n") == 1
    assert [] == list(server.site_dir.glob("site_*"))


def test_an_event_may_go_to_the_site_during_a_run(server):
    """`stream: site` keeps ambient data flowing."""
    server.post("/run/start", {"run_id": "A"})

    answer = server.post("/event", {"type": "weather", "data": 1, "stream": "site"})

    assert {} == answer.json["meta"]
    assert 1 == len(list(server.site_dir.glob("site_*.ndjson")))


def test_the_end_of_a_run_removes_nothing_from_current(server):
    """Old: the weather of a run was gone when the run stopped, and the dome closed."""
    server.post("/run/start", {"run_id": "A"})
    server.post("/event", {"type": "weather", "data": 1})
    stopped = server.post("/run/stop").json

    assert "A" == stopped["run_id"]
    assert 1 == server.get("/current/weather").json["data"]


def test_runs_are_listed_with_their_counts(server):
    """The command line asks for them."""
    server.post("/run/start", {"run_id": "A"})
    server.post("/event", {"type": "weather", "data": 1})
    server.post("/run/stop", {"status": "aborted", "reason": "clouds"})

    run = server.get("/v1/runs").json["runs"][0]

    assert ("A", "aborted", "clouds", 1) == tuple(
        run[name] for name in ("run_id", "status", "reason", "events")
    )
    assert run == server.get("/v1/runs/A").json
    assert 404 == server.get("/v1/runs/B").status


def test_shutdown_ends_the_service(server):
    """It answers first, then it ends with 0 and nothing is lost."""
    server.post("/event", {"type": "weather", "data": 1})

    answer = server.post("/shutdown")

    assert {"shutting_down": True} == answer.json
    assert 0 == server.process.wait(10)
    assert 1 == len(server.lines())


def test_everything_is_back_after_a_kill(server, start_server):
    """The seq goes on, current and the open run are there."""
    server.post("/event", {"type": "weather", "data": 1})
    run = server.post("/run/start", {"run_id": "A", "meta": {"target": "M42"}}).json
    last = server.post("/event", {"type": "power", "data": 2}).json
    server.kill()

    again = start_server()

    assert run == again.get("/run").json
    assert last == again.get("/current/power").json
    assert again.post("/event", {"type": "power", "data": 3}).json["seq"] > last["seq"]
