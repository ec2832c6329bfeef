"""`GET /v1/events`: the history over a real socket."""

import contextlib
import csv
import io
import json
import socket
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import pytest


@pytest.fixture(scope="module")
def filled(shared_server):
    """Return a service that has recorded ten events: half of them in run A."""
    server = shared_server
    for number in range(10):
        if number == 3:
            server.post("/run/start", {"run_id": "A"})
        if number == 8:
            server.post("/run/stop")
        type_ = "wind" if number % 2 else "sky"
        server.post(
            "/event",
            {"type": type_, "data": {"n": number}, "ts": f"2026-03-18T00:00:0{number}Z"},
        )
    return server


def get(server, path, **headers):
    """Return status, headers and text of the answer to a request for *path*."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def numbers(server, **query):
    """Return what the events that *query* selects hold."""
    named = {name.rstrip("_"): value for name, value in query.items()}
    path = f"/v1/events?{urlencode(named, doseq=True)}"
    return [event["data"]["n"] for event in server.get(path).json["events"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, range(10)),
        ({"type": "wind"}, [1, 3, 5, 7, 9]),
        ({"type": ["wind", "sky"]}, range(10)),
        ({"run": "A"}, [3, 4, 5, 6, 7]),
        ({"run": "B"}, []),
        ({"stream": "site"}, [0, 1, 2, 8, 9]),
        ({"from_": "2026-03-18T00:00:07Z"}, [7, 8, 9]),
        ({"to": "2026-03-18T01:00:02+01:00"}, [0, 1]),
        ({"after": 8}, [8, 9]),
        ({"limit": 2}, [0, 1]),
        ({"last": 2}, [8, 9]),
        ({"last": 2, "type": "sky", "run": "A"}, [4, 6]),
        ({"limit": 0}, []),
    ],
)
def test_a_query_selects(filled, query, expected):
    """Each parameter narrows the answer."""
    assert [*expected] == numbers(filled, **query)


def test_an_event_is_found_by_its_seq(filled):
    """And what is not there is a 404."""
    one = filled.get("/v1/events?limit=1").json["events"][0]

    assert one == filled.get(f"/v1/events/{one['seq']}").json
    assert ["seq", "ts", "type", "data", "meta"] == list(one)
    for seq in ("0", "999", str(10**30), "-1", "x"):
        assert 404 == filled.get(f"/v1/events/{seq}").status


@pytest.mark.parametrize("limit", [1, 3, 10, 11])
def test_pages_follow_each_other_to_the_end(filled, limit):
    """By the link as well as by `next_after`; the last page has neither."""
    seen, path = [], f"/v1/events?limit={limit}&type=sky&type=wind"
    while path:
        answer = filled.get(path)
        seen += [event["data"]["n"] for event in answer.json["events"]]
        link = answer.headers.get("link")
        assert (link is None) == (answer.json["next_after"] is None)
        assert link is None or f"after={answer.json['next_after']}>" in link
        path = link and link[1 : link.index(">")]

    assert [*range(10)] == seen


def test_a_page_ends_when_it_is_large(server):
    """However many events are asked for, memory stays flat."""
    text = "x" * 200_000
    for _ in range(12):
        server.post("/event", {"type": "w", "data": text})

    first = server.get("/v1/events?limit=1000000").json

    assert 5 < len(first["events"]) < 12
    rest = server.get(f"/v1/events?after={first['next_after']}").json
    assert 12 == len(first["events"]) + len(rest["events"])
    assert rest["next_after"] is None


@pytest.mark.parametrize(
    ("headers", "query", "media_type"),
    [
        ({}, "", "application/json"),
        ({"Accept": "*/*"}, "", "application/json"),
        ({"Accept": "application/*"}, "", "application/json"),
        ({"Accept": "text/html, application/x-ndjson"}, "", "application/x-ndjson"),
        ({"Accept": "application/jsonl"}, "", "application/x-ndjson"),
        ({"Accept": "application/json;q=0.5, text/csv"}, "", "text/csv; charset=utf-8"),
        ({"Accept": "application/json;q=0, text/*;q=0.1"}, "", "text/csv; charset=utf-8"),
        ({"Accept": "text/csv"}, "?format=ndjson", "application/x-ndjson"),
    ],
)
def test_the_form_is_what_is_asked_for(filled, headers, query, media_type):
    """By `?format=` first, then by `Accept`."""
    status, found, _ = get(filled, f"/v1/events{query}", **headers)

    assert (200, media_type) == (status, found["Content-Type"])


def test_lines_are_the_history(filled):
    """Each line is one event as it is told everywhere else."""
    _, _, text = get(filled, "/v1/events?format=ndjson&run=A")

    events = [json.loads(line) for line in text.splitlines()]
    assert filled.get("/v1/events?run=A").json["events"] == events


def test_a_table_is_read_by_any_spreadsheet(filled):
    """A head, and data and meta as JSON text."""
    _, _, text = get(filled, "/v1/events?format=csv&run=A&limit=1")

    head, row = csv.reader(io.StringIO(text))
    assert ["seq", "ts", "type", "data", "meta"] == head
    assert ['{"n":3}', '{"run_id":"A"}'] == row[3:]


@pytest.mark.parametrize("form", ["json", "ndjson", "csv"])
def test_an_empty_history_is_no_error(server, form):
    """Nothing was recorded yet, and that is told in each form."""
    status, _, text = get(server, f"/v1/events?format={form}")

    assert 200 == status
    assert text in ('{"events":[],"next_after":null}', "", "seq,ts,type,data,meta\r\n")


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=x", "$.limit"),
        ("limit=-1", "$.limit"),
        ("limit=1.5", "$.limit"),
        ("limit=%D9%A3", "$.limit"),
        ("after=9223372036854775808", "$.after"),
        (f"after={'9' * 5000}", "$.after"),
        ("limit=1&limit=2", "$.limit"),
        ("limit=1&last=1", "$.last"),
        ("run=A&stream=site", "$.run"),
        ("stream=A", "$.stream"),
        ("from=yesterday", "$.from"),
        ("to=2026-02-30T00:00:00Z", "$.to"),
        ("format=xml", "$.format"),
        ("since=2026-03-18T00:00:00Z", "$.since"),
        ("nonsense=1", "$.nonsense"),
    ],
)
def test_a_question_that_cannot_be_asked_says_where(filled, query, path):
    """422 with the parameter; nothing is passed over in silence."""
    answer = filled.get(f"/v1/events?{query}")

    assert 422 == answer.status
    assert [path] == [one["path"] for one in answer.json["errors"]]


def test_no_acceptable_form_is_406(filled):
    """With those that there are."""
    answer = filled.ask("GET", "/v1/events", headers={"Accept": "text/html"})

    assert 406 == answer.status
    assert "text/csv" in answer.json["detail"]


def _most_memory_kb(server):
    status = Path(f"/proc/{server.process.pid}/status").read_text("utf-8")
    return next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmHWM"))


def _files_being_read(server):
    found = 0
    for link in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += link.readlink().suffix == ".ndjson"
    return found - 1  # one is being written


def test_a_client_that_goes_stops_the_reading(server, eventually):
    """Its file is closed at once, and memory was flat while it stood still."""
    line = json.dumps({"type": "w", "data": "x" * 1000}).encode() + b"\n"
    for _ in range(3):
        server.ask("POST", "/v1/events", line * 10_000, {"Content-Type": "application/x-ndjson"})
    before = _most_memory_kb(server)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        eventually(lambda: _files_being_read(server) == 1)
        assert {"ok": True} == server.get("/health").json

    eventually(lambda: _files_being_read(server) == 0)
    assert _most_memory_kb(server) - before < 20_000
