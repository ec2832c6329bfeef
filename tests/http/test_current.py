"""Current: what the client has already, and what was current once."""

import pytest


@pytest.fixture(scope="module")
def filled(shared_server):
    """Return a service whose types change at 00:00:01, 00:00:02 and so on."""
    for second, type_, value, extra in [
        (1, "sky", 1, {}),
        (2, "dome", 2, {}),
        (3, "sky", 3, {}),
        (4, "sky", 4, {"make_current": False}),
        (5, "safe", 5, {"store_permanently": False}),
        (6, "dome", 6, {}),
        (2, "late", 7, {}),
        *[(6, "sky", 10 + n, {"make_current": False}) for n in range(30)],
    ]:
        ts = f"2026-03-18T00:00:0{second}Z"
        shared_server.post("/event", {"type": type_, "data": value, "ts": ts, **extra})
    return shared_server


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-18T00:00:00Z", {}),
        ("2026-03-18T00:00:00.999999999Z", {}),
        ("2026-03-18T00:00:01Z", {"sky": 1}),
        ("2026-03-18T01:00:02%2B01:00", {"sky": 1, "dome": 2, "late": 7}),
        ("2026-03-18T00:00:05Z", {"sky": 3, "dome": 2, "late": 7}),
        ("2026-03-18T00:00:06Z", {"sky": 3, "dome": 6, "late": 7}),
        ("2250-01-01T00:00:00Z", {"sky": 3, "dome": 6, "late": 7}),
    ],
)
def test_what_was_current_at_a_moment_is_told(filled, at, expected):
    """The moment included; what did not ask to be current, or was not kept, is not there."""
    answer = filled.get(f"/v1/current?at={at}").json

    assert expected == {type_: event["data"] for type_, event in answer["current"].items()}
    assert answer["as_of_seq"] == max([0, *(e["seq"] for e in answer["current"].values())])
    assert answer["at"].endswith("Z")


def test_what_is_current_now_has_a_cursor(filled):
    """With it a stream goes on without a hole."""
    answer = filled.get("/v1/current").json

    assert filled.get("/current").json["current"] == answer["current"]
    assert answer["as_of_seq"] >= max(event["seq"] for event in answer["current"].values())


@pytest.mark.parametrize("query", ["at=now", "at=2262-01-01T00:00:00Z", "on=2026-03-18"])
def test_no_moment_is_an_error(filled, query):
    """422 with the parameter."""
    answer = filled.get(f"/v1/current?{query}")

    assert (422, f"$.{query[:2]}") == (answer.status, answer.json["errors"][0]["path"])


@pytest.mark.parametrize(
    "path", ["/current", "/current/w", "/v1/current", "/v1/current?at=2250-01-01T00:00:00Z"]
)
def test_what_the_client_has_is_not_sent_again(server, path):
    """304 until something changes; the tag may be one of several, weak, or any."""
    server.post("/event", {"type": "w", "data": 1})
    first = server.get(path)
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = server.ask("GET", path, headers={"If-None-Match": known})
        assert (304, None, tag) == (again.status, again.json, again.headers["etag"])

    server.post("/event", {"type": "w", "data": 2})
    changed = server.ask("GET", path, headers={"If-None-Match": tag})

    assert 200 == changed.status
    assert tag != changed.headers["etag"]
    assert first.json != changed.json
