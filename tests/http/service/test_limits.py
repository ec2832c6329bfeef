"""Nobody can take more of the service than is his, and nobody else notices the attempt."""

import contextlib
import signal
import socket
import time

import pytest

EVENT = {"type": "weather", "data": 1}
HALF_HEAD = b"POST /event HTTP/1.1\r\nHost: localhost\r\nX-A: "
HALF_BODY = (
    b"POST /event HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1000\r\n\r\n{"
)
CHUNKED = (
    b"POST /event HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def answer_to(connection):
    """Return what the service says until it closes the connection, or a part of it."""
    text = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            text += part
    return text


def is_served(service):
    """Whether somebody else is answered, in reading and in writing."""
    return (200, 200) == (
        service.ask("POST", "/event", EVENT).status,
        service.ask("GET", "/current").status,
    )


@pytest.fixture(scope="module")
def shared(serve_in, tmp_path_factory):
    """A service for tests that leave nothing behind in it."""
    return serve_in(tmp_path_factory.mktemp("shared"), "--idle-timeout", "1")


def test_half_open_requests_harm_nobody_and_are_closed(serve):
    """200 heads that never end are ended; 200 bodies wait for theirs, alone."""
    service = serve("--idle-timeout", "1.5")
    heads = [service.open(HALF_HEAD) for _ in range(200)]
    bodies = [service.open(HALF_BODY) for _ in range(200)]

    assert is_served(service)
    for head in heads:
        assert b"" == answer_to(head)
    assert is_served(service)
    assert 0 == service.end()
    for body in bodies:
        answer_to(body)


@pytest.mark.usefixtures("many_files")
def test_idle_connections_harm_nobody(serve):
    """2,000 of them take little memory."""
    service = serve()
    assert is_served(service)
    before = service.rss_mb()
    for _ in range(2000):
        service.open()

    assert is_served(service)
    assert service.rss_mb() - before < 200
    assert 0 == service.end()


def test_connections_beyond_the_limit_are_closed(serve, eventually):
    """Those that are open are served on, and the log says once what happens."""
    service = serve("--idle-timeout", "1", max_files=300)
    connection = service.connection()
    connection.request("GET", "/health")
    connection.getresponse().read()
    opened = [service.open() for _ in range(150)]

    connection.request("GET", "/current")
    assert 200 == connection.getresponse().status
    assert b"" == answer_to(opened[-1])
    assert 1 == service.log.count("new ones are closed")
    for one in opened:
        one.close()
    connection.close()
    eventually(lambda: is_served_or_closed(service))


def is_served_or_closed(service):
    """Whether it serves again; until it saw that the others left, it may close this one, too."""
    with contextlib.suppress(OSError, ConnectionError, ValueError):
        return is_served(service)
    return False


def test_a_body_of_100_mb_is_refused_unread(shared):
    """By its announced length; the rest is never read into memory."""
    before = shared.rss_mb()
    connection = shared.open(HALF_BODY.replace(b"1000", b"104857600"))
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(1600):
            connection.sendall(b" " * 65536)
    assert b" 413 " in answer_to(connection)[:100] or is_served(shared)
    assert shared.rss_mb() - before < 30
    assert is_served(shared)


def test_an_endless_body_is_refused(shared):
    """After the limit, however it is cut into chunks."""
    before = shared.rss_mb()
    connection = shared.open(CHUNKED)
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    sent = 0
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while sent < 1000:
            connection.sendall(piece)
            sent += 1
    assert sent < 1000
    assert shared.rss_mb() - before < 30
    assert is_served(shared)


@pytest.mark.parametrize(
    "headers",
    [
        {f"X-{i}": "a" for i in range(120)},
        {"X-A": "a" * 15_000, "X-B": "b" * 15_000, "X-C": "c" * 9000},
    ],
)
def test_too_many_headers_are_refused(shared, headers):
    """By their number, and by their size."""
    assert shared.ask("GET", "/current", headers=headers).status in (400, 431)
    assert 200 == shared.ask("GET", "/current", headers={"X-A": "a" * 1000}).status


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"\x00\x01\x02\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"\x16\x03\x01\x02\x00",
        ),
        b"GET /current HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n",
        b"POST /run/stop HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /event HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /event HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nXYZ\r\n",
        b"GET /current HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"GET /current HTTP/1.1\r\nHost: localhost\r\nA: b\r\n\x00c: d\r\n\r\n",
    ],
)
def test_what_is_no_http_is_answered_with_an_error_or_with_nothing(shared, text):
    """And costs nobody else anything."""
    with shared.open(text) as connection:
        connection.shutdown(socket.SHUT_WR)
        answer = answer_to(connection)
    assert answer == b"" or answer.split()[1].startswith(b"4"), answer
    assert is_served(shared)


def test_a_type_too_many_is_refused(serve):
    """Events of the known ones are taken on, also after a restart, and nothing else is."""
    service = serve("--max-types", "3")
    for type_ in "abc":
        assert 200 == service.ask("POST", "/event", {"type": type_, "data": 1}).status
    answer = service.ask("POST", "/event", {"type": "d", "data": 1})

    assert 422 == answer.status
    assert "$.type" == answer.json["errors"][0]["path"]
    assert 200 == service.ask("POST", "/event", {"type": "a", "data": 2}).status
    assert 0 == service.end()
    again = serve("--max-types", "3")
    assert 422 == again.ask("POST", "/event", {"type": "d", "data": 1}).status
    assert 200 == again.ask("POST", "/event", {"type": "c", "data": 1}).status


def test_a_type_too_many_in_a_batch_costs_no_other_line(serve):
    """It is rejected by its line, and what else is wrong is told as always."""
    service = serve("--max-types", "2")
    lines = {"Content-Type": "application/x-ndjson"}
    first = b'{"type":"a","data":1}\n{"type":"b","data":1}\n'
    assert 200 == service.ask("POST", "/v1/events", first, headers=lines).status
    more = b'{"type":"c","data":1}\n{"type":"a","data":2}\nnonsense\n{"type":"d","data":1}\n'
    report = service.ask("POST", "/v1/events", more, headers=lines).json

    assert (1, 3) == (report["accepted"], report["rejected_total"])
    assert [1, 3, 4] == [each["line"] for each in report["rejected"]]
    assert "no more are taken" in report["rejected"][0]["detail"]
    metrics = service.ask("GET", "/metrics").text
    assert 'telemetry_http_events_total{outcome="recorded"} 3.0' in metrics
    assert 'telemetry_http_events_total{outcome="refused"} 3.0' in metrics


def test_a_batch_brings_no_more_types_than_there_may_be(serve):
    """Also when all of them are new, and it is one that is looked at as a whole."""
    service = serve("--max-types", "5")
    lines = {"Content-Type": "application/x-ndjson"}
    batch = b"".join(b'{"type":"t%d","data":1}\n' % (number % 50) for number in range(500))
    report = service.ask("POST", "/v1/events", batch, headers=lines).json

    assert (50, 450) == (report["accepted"], report["rejected_total"])
    assert 5 == len(service.ask("GET", "/current").json["current"])


def test_an_event_that_is_refused_takes_no_place_among_the_types(serve):
    """Otherwise nonsense would keep sense out."""
    service = serve("--max-types", "1")
    for data in (b'{"type": "x", "data": 1e999}', b'{"type": "y", "data": 1, "ts": "never"}'):
        assert 422 == service.ask("POST", "/event", data).status
    assert 200 == service.ask("POST", "/event", EVENT).status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_time_with_uploads_and_connections_open(serve, number):
    """Whatever its clients are in the middle of."""
    service = serve()
    stream = b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
    lines = CHUNKED.replace(b"/event", b"/v1/events").replace(b"/json", b"/x-ndjson")
    for text in (b"", HALF_HEAD, HALF_BODY, CHUNKED, CHUNKED + b'5\r\n{"typ\r\n', stream, lines):
        for _ in range(20):
            service.open(text)
    assert is_served(service)

    assert 0 == service.end(number)


def test_a_client_that_reads_nothing_is_not_waited_for(serve):
    """Answers pile up for him alone."""
    service = serve()
    service.ask("POST", "/event", {"type": "big", "data": "x" * 200_000})
    slow = service.open()
    slow.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        for _ in range(100_000):
            slow.send(b"GET /current HTTP/1.1\r\nHost: localhost\r\n\r\n")
    time.sleep(0.2)

    assert is_served(service)
    assert service.rss_mb() < 300
    assert 0 == service.end()
