"""Bad input is refused with a reason, and changes nothing."""

import json
import socket

import pytest

DEEP = "[" * 5000 + "]" * 5000

MALFORMED = {
    "nothing": b"",
    "half an object": b'{"type": "w", "data"',
    "trailing junk": b'{"type": "w", "data": 1} x',
    "two values": b'{"type": "w", "data": 1}{"type": "w", "data": 2}',
    "single quotes": b"{'type': 'w', 'data': 1}",
    "NaN": b'{"type": "w", "data": NaN}',
    "Infinity": b'{"type": "w", "data": -Infinity}',
    "no UTF-8": b'{"type": "w", "data": "\xff"}',
    "UTF-16": '{"type": "w", "data": 1}'.encode("utf-16"),
    "control character": b'{"type": "w", "data": "a\nb"}',
    "bad escape": b'{"type": "w", "data": "\\x"}',
}
UNPROCESSABLE = {
    "a list": b"[]",
    "null": b"null",
    "a string": b'"w"',
    "no type": b'{"data": 1}',
    "no data": b'{"type": "w"}',
    "type a number": b'{"type": 1, "data": 1}',
    "type null": b'{"type": null, "data": 1}',
    "type empty": b'{"type": "", "data": 1}',
    "type with a line break": b'{"type": "a\\nb", "data": 1}',
    "type with NUL": b'{"type": "a\\u0000", "data": 1}',
    "type too long": b'{"type": "%s", "data": 1}' % (b"x" * 129),
    "type with a lone surrogate": b'{"type": "\\ud800", "data": 1}',
    "data with a lone surrogate": b'{"type": "w", "data": "\\ud800"}',
    "key with a lone surrogate": b'{"type": "w", "data": {"\\udfff": 1}}',
    "meta with a lone surrogate": b'{"type": "w", "data": 1, "meta": {"a": "\\ud800"}}',
    "integer of 400 digits": b'{"type": "w", "data": %s}' % (b"9" * 400),
    "integer of 5000 digits": b'{"type": "w", "data": %s}' % (b"9" * 5000),
    "integer of 65 bits": b'{"type": "w", "data": 18446744073709551616}',
    "integer below 64 bits": b'{"type": "w", "data": -9223372036854775809}',
    "number without end": b'{"type": "w", "data": 1e999}',
    "deep lists": b'{"type": "w", "data": %s}' % DEEP.encode(),
    "101 levels": b'{"type": "w", "data": %s}' % (b"[" * 101 + b"]" * 101),
    "deep objects": b'{"type": "w", "data": %s1%s}' % (b'{"a":' * 300, b"}" * 300),
    "deep meta": b'{"type": "w", "data": 1, "meta": {"a": %s}}' % (b"[" * 300 + b"]" * 300),
    "a key twice": b'{"type": "w", "data": 1, "data": 2}',
    "a key twice inside": b'{"type": "w", "data": {"a": 1, "a": 2}}',
    "meta a list": b'{"type": "w", "data": 1, "meta": []}',
    "meta a string": b'{"type": "w", "data": 1, "meta": "x"}',
    "make_current yes": b'{"type": "w", "data": 1, "make_current": "yes"}',
    "make_current 0": b'{"type": "w", "data": 1, "make_current": 0}',
    "store_permanently null": b'{"type": "w", "data": 1, "store_permanently": null}',
    "ts banana": b'{"type": "w", "data": 1, "ts": "banana"}',
    "ts empty": b'{"type": "w", "data": 1, "ts": ""}',
    "ts naive": b'{"type": "w", "data": 1, "ts": "2026-03-18T00:05:48"}',
    "ts a date": b'{"type": "w", "data": 1, "ts": "2026-03-18"}',
    "ts Feb 30": b'{"type": "w", "data": 1, "ts": "2026-02-30T00:00:00Z"}',
    "ts leap second": b'{"type": "w", "data": 1, "ts": "2026-06-30T23:59:60Z"}',
    "ts a number": b'{"type": "w", "data": 1, "ts": 1742256348}',
    "ts year 9999": b'{"type": "w", "data": 1, "ts": "9999-01-01T00:00:00Z"}',
    "stream another": b'{"type": "w", "data": 1, "stream": "run"}',
    "stream a path": b'{"type": "w", "data": 1, "stream": "../x"}',
    "id empty": b'{"type": "w", "data": 1, "id": ""}',
    "id a number": b'{"type": "w", "data": 1, "id": 1}',
    "unknown field": b'{"type": "w", "data": 1, "make_curent": false}',
    "data of 300 KiB": b'{"type": "w", "data": "%s"}' % (b"x" * 300 * 1024),
}
BAD_RUNS = [
    {"run_id": value}
    for value in (
        *("../../x", "..", ".", "", " ", "a/b", "/tmp/x", "~/x", "a\\b", "a\nb", "a\x00b", "-a"),
        *("site_20260318", "site_20260318.ndjson", "SITE_x", "CON", "nul.txt", "x" * 129, "²"),
        *("тип", ".telemetry", "a ", 1, True, [], {}),
    )
] + [
    {"run_dir": value}
    for value in (
        *("../x", "a/../../x", "/tmp/telemetry-x", "/", "", ".", "~/x", "a//../..", "a\x00b"),
        *(".telemetry", ".telemetry/x", "site_20260318.ndjson", "a/site_1/b", "linked/run", 1),
        *("/".join("abcdefghij"), "a\\..\\b", "C:\\x", "x" * 300),
    )
]
BAD_RUN_BODIES = [
    *BAD_RUNS,
    {"meta": []},
    {"meta": {"run_id": "../../x"}},
    {"meta": {"run_id": 5}},
    {"meta": {"a": "\ud800"}},
    {"other": 1},
    [],
]


@pytest.fixture
def refused(server):
    """Return a function that checks that a request changes nothing."""
    server.post("/event", {"type": "weather", "data": 1})
    (server.site_dir / "linked").symlink_to(server.site_dir.parent)
    before = server.state()

    def check(statuses, *request):
        answer = server.ask(*request)
        assert answer.status in statuses, (request, answer)
        assert answer.json["detail"]
        assert "application/problem+json" == answer.headers["content-type"]
        return answer

    yield check
    assert before == server.state()
    server.post("/event", {"type": "weather", "data": 2})
    assert [1, 2] == [line["seq"] for line in server.lines()]


def test_malformed_bodies_are_400(refused):
    """What is not JSON is told apart from what is JSON and wrong."""
    for body in MALFORMED.values():
        statuses = {400, 415} if not body else {400}
        refused(statuses, "POST", "/event", body)


def test_wrong_fields_are_422_with_their_paths(refused):
    """Every problem says where it is."""
    for body in UNPROCESSABLE.values():
        answer = refused({422}, "POST", "/event", body)
        assert all(one["path"].startswith("$") for one in answer.json["errors"])


def test_all_problems_of_a_body_are_told_at_once(refused):
    """Nobody wants to mend one field, send again, and hear of the next."""
    answer = refused({422}, "POST", "/event", b'{"type": 1, "meta": 2, "dta": 3}')

    assert {"$", "$.type", "$.meta", "$.data"} == {one["path"] for one in answer.json["errors"]}


def test_runs_of_bad_names_are_422_and_nothing_is_written(refused):
    """No name leads outside of the site directory, or to one of our own files."""
    for body in BAD_RUN_BODIES:
        refused({422}, "POST", "/run/start", json.dumps(body))


def test_other_types_of_body_are_415(refused):
    """A page can send text and forms without asking, so they are not taken."""
    body = b'{"type": "w", "data": 1}'
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "", "image/png"):
        refused({415}, "POST", "/event", body, {"Content-Type": media_type})
    refused({415}, "POST", "/event", body, {"Content-Encoding": "gzip"})


def test_large_bodies_are_413(server, refused):
    """They are refused by their announced length, and by what really comes."""
    answer = refused({413}, "POST", "/event", b" " * (1024 * 1024 + 1))
    assert "close" == answer.headers["connection"]

    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        head = "POST /event HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
        try:
            for _ in range(40):
                connection.sendall(piece)
            answer = connection.recv(100)
        except (BrokenPipeError, ConnectionResetError):
            answer = b"HTTP/1.1 413"
    assert b" 413" in answer


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "localhost.evil.example", "evil.example:6562", "127.0.0.1.evil", ""),
        *("localhost@evil.example", "localhost:0", "localhost:x", "localhost:6562:1", "[::2]"),
        *("127.0.0.2", "0.0.0.0", "localhost/", "local host", "::1:6562", "xn--localhost"),
    ],
)
def test_a_foreign_host_is_refused_on_every_route(refused, host):
    """A name of a web page that was bound to loopback reaches nothing."""
    for method, path in (
        *(("GET", "/current"), ("GET", "/health"), ("POST", "/run/start"), ("POST", "/run/stop")),
        *(("POST", "/shutdown"), ("POST", "/event")),
    ):
        refused({400, 421}, method, path, None, {"Host": host})


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "127.0.0.1:9", "[::1]:6562", "[::1]"]
)
def test_our_own_names_are_served(server, host):
    """With any port: a tunnel may change it."""
    assert 200 == server.ask("GET", "/health", None, {"Host": host}).status


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Origin": "https://127.0.0.1"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "CROSS-SITE"},
    ],
)
def test_another_site_cannot_change_anything(refused, headers):
    """Not even with an empty body, which a browser sends without asking."""
    for path in ("/run/start", "/run/stop", "/shutdown", "/event"):
        refused({403}, "POST", path, None, headers)


def test_our_own_page_may_change_things(server):
    """The origin is the one that was asked."""
    headers = {"Origin": server.url, "Host": f"127.0.0.1:{server.port}"}

    assert 200 == server.ask("POST", "/run/start", None, headers).status


def test_wrong_methods_are_405_and_say_which_are_right(refused):
    """The `Allow` header lists them."""
    answer = refused({405}, "GET", "/event")

    assert "POST" in answer.headers["allow"]


def test_unknown_paths_are_404(refused):
    """Also those that look for files."""
    for path in ("/", "/nothing", "/event/", "/../etc/passwd", "/%2e%2e/x", "/v1/runs/..%2fx"):
        refused({404, 405}, "GET", path)


def test_an_id_of_another_event_is_a_conflict(server):
    """The same event again is answered as it was stored, and is stored once."""
    first = server.post("/event", {"type": "weather", "data": 5, "id": "x"}).json
    again = server.post("/event", {"type": "weather", "data": 5, "id": "x"}).json
    other = server.post("/event", {"type": "weather", "data": 6, "id": "x"})

    assert first == again
    assert 409 == other.status
    assert [5] == [line["data"] for line in server.lines()]
