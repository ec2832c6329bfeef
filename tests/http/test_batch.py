"""`POST /v1/events`: many events in one body, over a real socket."""

import asyncio
import gzip
import json
import signal
import socket
from pathlib import Path

import httpx
import pytest

from telemetry_core import Capabilities
from telemetry_core.memory import MemoryStorage
from telemetry_http import TelemetryService, create_app

NDJSON = {"Content-Type": "application/x-ndjson"}
GOOD = b'{"type":"w","data":%d}'


def lines(*numbers):
    """Return NDJSON with an event for each of *numbers*."""
    return b"".join(GOOD % number + b"\n" for number in numbers)


def post(server, body, **headers):
    """Post *body* as NDJSON unless *headers* say otherwise."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.ask("POST", "/v1/events", body, {**NDJSON, **given})


def stored(server):
    """Return the data of what is stored, in order."""
    return [line["data"] for line in server.lines()]


@pytest.mark.parametrize("media_type", ["x-ndjson", "jsonl", "jsonlines; charset=utf-8"])
def test_each_line_is_an_event(server, media_type):
    """The report has the four counts, and names no line."""
    answer = post(server, lines(1, 2, 3), Content_Type=f"application/{media_type}")

    assert 200 == answer.status
    assert {
        "accepted": 3,
        "duplicates": 0,
        "first_seq": 1,
        "last_seq": 3,
        "rejected": [],
        "rejected_total": 0,
    } == answer.json
    assert [1, 2, 3] == stored(server)


def test_each_element_of_a_list_is_an_event(server):
    """Pretty-printed too; what is stored is compact."""
    events = [{"type": "w", "data": {"n": number}} for number in range(3)]

    answer = server.ask("POST", "/v1/events", json.dumps(events, indent=2))

    assert (200, 3) == (answer.status, answer.json["accepted"])
    text = next(server.site_dir.glob("site_*")).read_text("utf-8")
    assert text.count("\n") == 3
    assert '"data":{"n":2}' in text


def test_a_bad_line_costs_its_neighbours_nothing(server):
    """It is named by its number, counted from 1, blank lines included."""
    answer = post(server, GOOD % 1 + b"\n\nnonsense\n" + GOOD % 2 + b'\n{"type":"w"}')

    assert 200 == answer.status
    assert (2, 2) == (answer.json["accepted"], answer.json["rejected_total"])
    assert [3, 5] == [one["line"] for one in answer.json["rejected"]]
    assert "malformed JSON" in answer.json["rejected"][0]["detail"]
    assert "'data' is missing" in answer.json["rejected"][1]["detail"]
    assert [1, 2] == stored(server)


def test_a_batch_of_bad_lines_only_is_refused(server):
    """422, and the problem carries the report."""
    answer = post(server, b"nonsense\n" * 1500)

    assert 422 == answer.status
    assert "line 1: malformed JSON" in answer.json["detail"]
    assert (0, 1500, 1000) == (
        answer.json["accepted"],
        answer.json["rejected_total"],
        len(answer.json["rejected"]),
    )


@pytest.mark.parametrize("body", [b"", b"\n\n"])
def test_a_batch_of_nothing_is_no_error(server, body):
    """There was nothing to record."""
    answer = post(server, body)

    assert (200, 0, None) == (answer.status, answer.json["accepted"], answer.json["first_seq"])


def test_a_retry_stores_nothing_twice(server):
    """Events with ids come back as duplicates; that is no failure."""
    body = b"".join(b'{"type":"w","data":%d,"id":"%d"}\n' % (n, n) for n in range(3))
    post(server, body[: len(body) // 2])

    again = post(server, body)
    third = post(server, body + b"nonsense\n")

    assert (200, 2, 1) == (again.status, again.json["accepted"], again.json["duplicates"])
    assert (200, 0, 3) == (third.status, third.json["accepted"], third.json["duplicates"])
    assert [0, 1, 2] == stored(server)


def test_a_single_event_is_retried_by_its_key(server):
    """`Idempotency-Key` is the event's id; the answer to a retry says so in a header."""
    body = json.dumps({"type": "w", "data": 1})
    first = server.ask("POST", "/event", body, {"Idempotency-Key": '"k1"'})
    again = server.ask("POST", "/event", body, {"Idempotency-Key": "k1"})
    other = server.ask(
        "POST", "/event", '{"type":"w","data":1,"id":"k2"}', {"Idempotency-Key": "k1"}
    )

    assert first.json == again.json
    assert "idempotent-replayed" not in first.headers
    assert "true" == again.headers["idempotent-replayed"]
    assert 422 == other.status
    assert [1] == stored(server)


def test_a_key_of_another_event_is_a_conflict(server):
    """Nothing is overwritten in silence."""
    server.ask("POST", "/event", '{"type":"w","data":1}', {"Idempotency-Key": "k1"})

    answer = server.ask("POST", "/event", '{"type":"w","data":2}', {"Idempotency-Key": "k1"})

    assert 409 == answer.status


@pytest.mark.parametrize("members", [1, 2])
def test_a_body_may_be_gzip(server, members):
    """Of one member, or of several as `cat a.gz b.gz` makes them."""
    body = lines(*range(1000))
    half = body.index(b"\n", len(body) // 2) + 1
    packed = gzip.compress(body)
    if members == 2:
        packed = gzip.compress(body[:half]) + gzip.compress(body[half:])

    answer = post(server, packed, Content_Encoding="gzip")

    assert (200, 1000) == (answer.status, answer.json["accepted"])
    assert list(range(1000)) == stored(server)


def test_a_torn_gzip_keeps_what_came_before(server):
    """The report says what is wrong."""
    packed = gzip.compress(lines(*range(50_000)))

    answer = post(server, packed[: len(packed) // 2], Content_Encoding="gzip")

    assert 200 == answer.status
    assert 0 < answer.json["accepted"] < 50_000
    assert "does not end" in answer.json["rejected"][0]["detail"]
    assert 422 == post(server, b"no gzip", Content_Encoding="gzip").status


def test_a_broken_list_keeps_what_came_before(server):
    """Behind the break nothing can be found."""
    answer = server.ask("POST", "/v1/events", b"[" + GOOD % 1 + b", nonsense, " + GOOD % 2 + b"]")

    assert (200, 1) == (answer.status, answer.json["accepted"])
    assert [2] == [one["line"] for one in answer.json["rejected"]]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": ""},
        {"Content-Encoding": "br"},
    ],
)
def test_another_type_or_encoding_is_not_taken(server, headers):
    """415, with what would be."""
    answer = server.ask("POST", "/v1/events", lines(1), {**NDJSON, **headers})

    assert 415 == answer.status
    assert [] == server.lines()


def _most_memory_kb(server):
    status = Path(f"/proc/{server.process.pid}/status").read_text("utf-8")
    return next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmHWM"))


BOMBS = {
    "lines": b"\n" * 8_000_000,
    "one line": b" " * 100_000_000,
    "a text": b'{"type":"w","data":"' + b"x" * 100_000_000,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_memory_stays_flat_whatever_is_unpacked(server, bomb):
    """A hundred kilobytes that unpack to a hundred megabytes are no danger."""
    post(server, gzip.compress(lines(*range(20_000))), Content_Encoding="gzip")
    before = _most_memory_kb(server)

    answer = post(server, gzip.compress(bomb), Content_Encoding="gzip")

    assert answer.status in (200, 422)
    assert _most_memory_kb(server) - before < 20_000


def test_an_endless_upload_is_recorded_as_it_comes(server, eventually):
    """Chunk by chunk; what came before the connection broke stays."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: application/x-ndjson\r\n\r\n"
        )
        for number in range(3):
            text = GOOD % number + b"\n"
            connection.sendall(b"%x\r\n%s\r\n" % (len(text), text))
            eventually(lambda wanted=number: stored(server) == list(range(wanted + 1)))
        connection.sendall(b"100\r\n{")

    assert {"ok": True} == server.get("/health").json
    assert [0, 1, 2] == stored(server)


def test_an_open_upload_ends_with_the_service(server, eventually):
    """It is told that the service stops, and what was recorded until then."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(
            b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: application/x-ndjson\r\n\r\n" + lines(1)
        )
        eventually(lambda: stored(server) == [1])
        server.process.send_signal(signal.SIGTERM)

        with connection.makefile("rb") as stream:
            answer = stream.read()

        assert 0 == server.process.wait(5)
    assert answer.startswith(b"HTTP/1.1 503")
    assert b'"accepted":1' in answer


def test_a_full_disk_tells_how_far_it_came(server):
    """The error carries the report, so that a retry can go on from there."""
    resource = __import__("resource")
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))

    answer = post(server, lines(*range(20_000)))

    assert answer.status in (503, 507)
    assert answer.json["accepted"] == len(server.lines()) > 0


def test_hooks_are_told_of_each_event_that_is_new():
    """As of one that came alone; a duplicate and a bad line are no news."""
    told = []

    async def send(service):
        transport = httpx.ASGITransport(create_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for _ in range(2):
                await client.post(
                    "/v1/events",
                    content=b'{"type":"w","data":1,"id":"a"}\nno\n{"type":"w","data":2}',
                    headers=NDJSON,
                )

    with TelemetryService(
        "memory:", post_event_hooks=[lambda event, request: told.append((event, request))]
    ) as service:
        asyncio.run(send(service))

    assert [1, 2, 2] == [event["data"] for event, _ in told]
    assert [("w", "a"), ("w", None), ("w", None)] == [(one.type, one.id) for _, one in told]


class CostlyStorage(MemoryStorage):
    """A storage whose commits are costly, so it counts them."""

    def __init__(self):
        super().__init__()
        self.commits = []

    @property
    def capabilities(self):
        """The commit is costly, and does not return at once."""
        return Capabilities(durable=False, costly_commit=True, keeps_ephemeral=True)

    def append(self, drafts, recorded_ns):
        """Count it."""
        self.commits.append(len(drafts))
        return super().append(drafts, recorded_ns)


@pytest.mark.parametrize(
    ("headers", "pieces", "commits"),
    [
        ({"Content-Length": "1"}, [lines(1), lines(2), lines(3)], [3]),
        ({}, [lines(1), lines(2), lines(3)], [1, 1, 1]),
        ({"Content-Length": "1"}, [lines(1), GOOD % 2 + b"\n" * 40_000, lines(3)], [2, 1]),
        (
            {"Content-Length": "1", "Content-Type": "application/json"},
            [b"[%b," % (GOOD % 1), GOOD % 2, b",nonsense"],
            [2],
        ),
    ],
    ids=["whole", "as it comes", "not without end", "up to where it breaks"],
)
def test_a_body_of_known_length_is_one_commit_where_that_is_costly(headers, pieces, commits):
    """As one that may take for ever cannot be; what arrived before a mistake is recorded."""
    storage = CostlyStorage()

    async def body():
        for piece in pieces:
            yield piece

    async def ask(service):
        transport = httpx.ASGITransport(create_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            given = {**NDJSON, **headers}
            return await client.post("/v1/events", content=body(), headers=given)

    with TelemetryService(storage=storage) as service:
        report = asyncio.run(ask(service)).json()
        assert commits == storage.commits
        assert sum(commits) == report["accepted"]
