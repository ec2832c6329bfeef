"""`GET /v1/stream`: server-sent events over a real socket."""

import asyncio
import json
import signal
import threading
from contextlib import aclosing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from anyio import to_thread

from telemetry_core import EVERYTHING, Recorder, Selection
from telemetry_core.memory import MemoryStorage
from telemetry_http.live import TAIL_FRAMES, Live


class Stream:
    """One client of the stream, which reads frame by frame."""

    def __init__(self, server, query="", **headers):
        self._connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request("GET", f"/v1/stream?{query}", headers=given)
        self.answer = self._connection.getresponse()
        self.last_id = None

    def frame(self):
        """Return the kind of the next frame and its data, or `None` at the end of the stream."""
        kind, data = "message", None
        while line := self.answer.readline():
            text = line.decode().rstrip("\n")
            name, _, value = text.partition(": ")
            if name == "id":
                self.last_id = int(value)
            elif name == "event":
                kind = value
            elif name == "data":
                data = json.loads(value)
            elif text == ":":
                kind = "comment"
            elif text == "" and (data is not None or kind == "comment"):
                return kind, data
        return None

    def events(self, count):
        """Return the data of the next *count* events; other frames are passed over."""
        found = []
        while len(found) < count:
            kind, event = self.frame()
            if kind == "message":
                found.append(event["data"])
        return found

    def close(self):
        """Go."""
        self._connection.close()
        self.answer.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def post(server, *values, type_="w"):
    """Record *values* as one batch."""
    body = b"".join(
        b"%s\n" % json.dumps({"type": type_, "data": value}).encode() for value in values
    )
    answer = server.ask("POST", "/v1/events", body, {"Content-Type": "application/x-ndjson"})
    assert 200 == answer.status
    return answer.json["last_seq"]


def test_events_come_as_they_are_recorded(server):
    """The first frame tells where the client stands; what was before it does not come."""
    last = post(server, 1, 2)
    with Stream(server) as stream:
        assert "text/event-stream; charset=utf-8" == stream.answer.headers["Content-Type"]
        assert ("run", {"fact": "none", "run": None}) == stream.frame()
        assert last == stream.last_id

        posted = server.post("/event", {"type": "w", "data": 3}).json

        assert ("message", posted) == stream.frame()
        assert posted["seq"] == stream.last_id


@pytest.mark.parametrize("how", [{"query": "after=2"}, {"Last_Event_ID": "2", "query": "after=9"}])
def test_what_was_missed_is_replayed(server, how):
    """From the seq that is asked for, or that was seen last; then it goes on live."""
    post(server, *range(1, 6))
    with Stream(server, **how) as stream:
        assert [3, 4, 5] == stream.events(3)
        post(server, 6)
        assert [6] == stream.events(1)


def test_a_stream_is_narrowed_by_type_and_run(server):
    """Replayed or live, only what is asked for comes."""
    post(server, 1, type_="wind")
    server.post("/run/start", {"run_id": "A"})
    post(server, 2, type_="wind")
    post(server, 3, type_="sky")
    with (
        Stream(server, "after=0&type=wind") as wind,
        Stream(server, "after=0&run=A") as run,
        Stream(server, "after=0&stream=site") as site,
    ):
        post(server, 4, type_="sky")
        post(server, 5, type_="wind")
        server.post("/run/stop")
        post(server, 6, type_="wind")

        assert [1, 2, 5, 6] == wind.events(4)
        assert [2, 3, 4, 5] == run.events(4)
        assert [1, 6] == site.events(2)


def test_runs_are_events_of_their_own_kind(server):
    """Each is told when it starts and stops, with its facts; at first the active one is."""
    server.post("/run/start", {"run_id": "A"})
    with Stream(server) as stream:
        kind, first = stream.frame()
        server.post("/run/stop", {"status": "aborted"})
        stopped = stream.frame()
        server.post("/run/start", {"run_id": "B", "meta": {"target": "M42"}})
        started = stream.frame()

    assert ("run", "active", "A") == (kind, first["fact"], first["run"]["run_id"])
    assert ("stopped", "aborted") == (stopped[1]["fact"], stopped[1]["run"]["status"])
    assert ("started", "M42") == (started[1]["fact"], started[1]["run"]["meta"]["target"])


def test_silence_is_broken_by_comments(server):
    """So that a client, and a proxy between, knows that the connection lives."""
    with Stream(server, "heartbeat_s=0.05") as stream:
        stream.frame()
        assert ["comment"] * 3 == [stream.frame()[0] for _ in range(3)]


def test_a_client_that_may_not_lag_is_sent_on(server):
    """It is told from where to where it was not told, and goes on with what is new."""
    last = post(server, *range(50))
    with Stream(server, "after=3&max_lag=10") as stream:
        stream.frame()
        assert ("lagged", {"after": 3, "resumes_after": last}) == stream.frame()
        assert last == stream.last_id
        post(server, "new")
        assert ["new"] == stream.events(1)


def test_a_client_of_another_life_of_the_site_is_told(server):
    """A site that was made anew counts from 1: nobody waits for its old number to come."""
    last = post(server, 1, 2)
    with Stream(server, Last_Event_ID="1000") as stream:
        stream.frame()
        assert ("lagged", {"after": 1000, "resumes_after": last}) == stream.frame()
        post(server, 3)
        assert [3] == stream.events(1)


def test_a_cursor_may_be_that_of_an_ephemeral_event(server):
    """It has a number, though it is not in the history."""
    post(server, 1)
    server.post("/event", {"type": "w", "data": 2, "store_permanently": False})
    with Stream(server, f"after={server.get('/v1/current').json['as_of_seq']}") as stream:
        stream.frame()
        post(server, 3)
        assert "message" == stream.frame()[0]


@pytest.mark.parametrize(
    ("query", "headers", "path"),
    [
        ("after=x", {}, "$.after"),
        ("", {"Last-Event-ID": "x"}, "$.Last-Event-ID"),
        ("max_lag=-1", {}, "$.max_lag"),
        ("heartbeat_s=0", {}, "$.heartbeat_s"),
        ("heartbeat_s=nan", {}, "$.heartbeat_s"),
        ("limit=1", {}, "$.limit"),
        ("run=A&stream=site", {}, "$.run"),
    ],
)
def test_a_stream_that_cannot_be_is_refused(server, query, headers, path):
    """Before it begins, with the parameter."""
    answer = server.ask("GET", f"/v1/stream?{query}", headers=headers)

    assert 422 == answer.status
    assert [path] == [one["path"] for one in answer.json["errors"]]


def _connections(server):
    """Return how many connections to *server* are open at its end."""
    port = f":{server.port:04X}"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text("ascii").splitlines()]
    return sum(row[1].endswith(port) and row[3] in ("01", "08") for row in rows)


def test_a_client_that_goes_is_let_go_at_once(server, eventually):
    """Also while nothing is recorded and no heartbeat is due."""
    streams = [Stream(server, "heartbeat_s=300") for _ in range(3)]
    for stream in streams:
        stream.frame()
    assert 3 == _connections(server)
    for stream in streams:
        stream.close()

    eventually(lambda: _connections(server) == 0)
    with Stream(server, "after=0") as stream:
        post(server, 1)
        assert [1] == stream.events(1)


def test_open_streams_end_with_the_service(server):
    """All of them are ended whole, and the service is gone in time."""
    streams = [Stream(server) for _ in range(5)]
    for stream in streams:
        stream.frame()
    server.process.send_signal(signal.SIGTERM)

    assert [None] * 5 == [stream.frame() for stream in streams]
    assert 0 == server.process.wait(5)
    for stream in streams:
        stream.close()


def test_a_slow_client_misses_nothing(server):
    """It stands still while far more comes than the tail holds, and then gets all of it."""
    with Stream(server, "after=0") as stream:
        stream.frame()
        count = 20 * TAIL_FRAMES
        for start in range(0, count, 1000):
            post(server, *({"n": start + n, "pad": "x" * 300} for n in range(1000)))

        assert [*range(count)] == [event["n"] for event in stream.events(count)]


def test_large_events_come_through_a_small_tail(server):
    """Neither the tail nor a block holds more than a few of them."""
    with Stream(server, "after=0") as stream:
        stream.frame()
        for number in range(60):
            post(server, {"n": number, "x": "x" * 200_000})
        assert [*range(60)] == [event["n"] for event in stream.events(60)]


def test_who_reconnects_has_the_history(server):
    """Killed and reconnected twenty times under load, what was received is what is stored."""
    is_over = threading.Event()

    def write():
        number = 0
        while not is_over.is_set():
            post(server, *range(number, number + 7))
            number += 7

    writer = threading.Thread(target=write)
    writer.start()
    received, last_id = [], "0"
    try:
        for part in range(20):
            with Stream(server, Last_Event_ID=last_id) as stream:
                for _ in range(10 + part * 3):
                    kind, event = stream.frame()
                    if kind == "message":
                        received.append(event)
                last_id = str(stream.last_id)
    finally:
        is_over.set()
        writer.join()
    with Stream(server, Last_Event_ID=last_id) as stream:
        while len(received) < len(server.lines()):
            kind, event = stream.frame()
            if kind == "message":
                received.append(event)

    assert server.lines() == received


def test_many_clients_all_get_everything(server):
    """Each frame is made once, and each of a hundred clients gets each of them."""
    streams = [Stream(server, "after=0") for _ in range(100)]
    for number in range(20):
        post(server, number)

    assert all([*range(20)] == stream.events(20) for stream in streams)
    for stream in streams:
        stream.close()


class Shortened(MemoryStorage):
    """A storage whose first four events were removed to make room."""

    def removed_through(self):
        """Say so."""
        return 4

    def read(self, selection=EVERYTHING):
        """Leave them out."""
        return (event for event in super().read(selection) if event.seq > 4)


@pytest.mark.parametrize("after", [0, 2, 4])
def test_a_gap_that_retention_left_is_told(after):
    """A client that asks for what was removed is told so, and goes on behind it."""

    async def look(live):
        frames = live.follow(Selection(), after=after, max_lag=None, heartbeat_s=0.01)
        found = b""
        async with aclosing(frames):
            while b'"data":6' not in found:
                found += await anext(frames)
        return found

    with Recorder(Shortened()) as recorder:
        for number in range(1, 7):
            recorder.record("w", number)
        found = asyncio.run(look(Live(recorder, to_thread.run_sync, dict)))

    lagged = b'event: lagged\nid: 4\ndata: {"after":2,"resumes_after":4}\n\n'
    assert (after == 2) == (lagged in found)
    assert [5, 6] == [
        json.loads(line[6:])["seq"] for line in found.splitlines() if b'"seq"' in line
    ]
