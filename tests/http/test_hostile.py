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
    "half a surrogate escape": b'{"type": "w", "data": "\\ud8"}',
    "half a UTF-8 character": b'{"type": "w", "data": "\xe2\x82"}',
    "a surrogate in UTF-8": b'{"type": "w", "data": "\xed\xa0\x80"}',
    "an overlong slash in UTF-8": b'{"type": "w", "data": "\xc0\xaf"}',
    "beyond Unicode in UTF-8": b'{"type": "w", "data": "\xf4\x90\x80\x80"}',
    "a byte order mark": b'\xef\xbb\xbf{"type": "w", "data": 1}',
    "UTF-16 without mark": '{"type": "w", "data": 1}'.encode("utf-16-le"),
    "UTF-32": '{"type": "w", "data": 1}'.encode("utf-32"),
    "only white space": b" \t\r\n",
    "only a comma": b",",
    "only a brace": b"{",
    "only a quote": b'"',
    "a comma too many": b'{"type": "w", "data": 1,}',
    "two commas": b'{"type": "w",, "data": 1}',
    "a comma too many in a list": b'{"type": "w", "data": [1,]}',
    "no comma": b'{"type": "w" "data": 1}',
    "no colon": b'{"type" "w", "data": 1}',
    "a key without quotes": b'{type: "w", "data": 1}',
    "a number for a key": b'{"type": "w", "data": {1: 2}}',
    "a comment": b'{"type": "w", "data": 1} // note',
    "a comment inside": b'{"type": "w", /* note */ "data": 1}',
    "plus sign": b'{"type": "w", "data": +1}',
    "leading zero": b'{"type": "w", "data": 01}',
    "hexadecimal": b'{"type": "w", "data": 0x10}',
    "a point at the end": b'{"type": "w", "data": 1.}',
    "a point in front": b'{"type": "w", "data": .5}',
    "no exponent": b'{"type": "w", "data": 1e}',
    "two signs": b'{"type": "w", "data": --1}',
    "nan in small letters": b'{"type": "w", "data": nan}',
    "infinity in small letters": b'{"type": "w", "data": inf}',
    "Python's True": b'{"type": "w", "data": True}',
    "Python's None": b'{"type": "w", "data": None}',
    "JavaScript's undefined": b'{"type": "w", "data": undefined}',
    "a tuple": b'{"type": "w", "data": (1, 2)}',
    "unclosed text": b'{"type": "w", "data": "a}',
    "unclosed list": b'{"type": "w", "data": [1}',
    "NUL in text": b'{"type": "w", "data": "a\x00"}',
    "NUL behind": b'{"type": "w", "data": 1}\x00',
    "a tab in text": b'{"type": "w", "data": "a\tb"}',
    "a bell in text": b'{"type": "w", "data": "a\x07"}',
    "a form": b"type=w&data=1",
    "XML": b"<event><type>w</type></event>",
    "YAML": b"type: w\ndata: 1\n",
    "a pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00.",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    "lines": b'{"type": "w", "data": 1}\n{"type": "w", "data": 2}\n',
    "a record separator": b'\x1e{"type": "w", "data": 1}',
    "a prefix against hijacking": b")]}',\n" + b'{"type": "w", "data": 1}',
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
    "true": b"true",
    "a number": b"5",
    "an empty object": b"{}",
    "a list of events": b'[{"type": "w", "data": 1}]',
    "type true": b'{"type": true, "data": 1}',
    "type a list": b'{"type": ["w"], "data": 1}',
    "type an object": b'{"type": {"a": "w"}, "data": 1}',
    "type with a tab": b'{"type": "a\\tb", "data": 1}',
    "type with an escape": b'{"type": "a\\u001b[31m", "data": 1}',
    "type with a delete": b'{"type": "a\\u007f", "data": 1}',
    "type with a line separator": b'{"type": "a\\u2028", "data": 1}',
    "type with a change of direction": b'{"type": "a\\u202e", "data": 1}',
    "type of 10,000 characters": b'{"type": "%s", "data": 1}' % (b"x" * 10_000),
    "id too long": b'{"type": "w", "data": 1, "id": "%s"}' % (b"x" * 129),
    "id with NUL": b'{"type": "w", "data": 1, "id": "a\\u0000"}',
    "id with a line break": b'{"type": "w", "data": 1, "id": "a\\n"}',
    "id a list": b'{"type": "w", "data": 1, "id": []}',
    "id with a lone surrogate": b'{"type": "w", "data": 1, "id": "\\udc00"}',
    "stream empty": b'{"type": "w", "data": 1, "stream": ""}',
    "stream a number": b'{"type": "w", "data": 1, "stream": 1}',
    "stream absolute": b'{"type": "w", "data": 1, "stream": "/etc/passwd"}',
    "meta a number": b'{"type": "w", "data": 1, "meta": 1}',
    "meta true": b'{"type": "w", "data": 1, "meta": true}',
    "meta null": b'{"type": "w", "data": 1, "meta": null}',
    "meta with a key twice": b'{"type": "w", "data": 1, "meta": {"a": 1, "a": 2}}',
    "meta with a large number": b'{"type": "w", "data": 1, "meta": {"a": 1e400}}',
    "make_current null": b'{"type": "w", "data": 1, "make_current": null}',
    "make_current a list": b'{"type": "w", "data": 1, "make_current": []}',
    "store_permanently 1": b'{"type": "w", "data": 1, "store_permanently": 1}',
    "store_permanently a text": b'{"type": "w", "data": 1, "store_permanently": "false"}',
    "a seq": b'{"type": "w", "data": 1, "seq": 5}',
    "a run": b'{"type": "w", "data": 1, "run_id": "001"}',
    "another's field": b'{"type": "w", "data": 1, "__class__": "x"}',
    "an empty key": b'{"type": "w", "data": 1, "": 1}',
    "meta twice": b'{"type": "w", "data": 1, "meta": {}, "meta": {}}',
    "type twice, once escaped": b'{"type": "w", "data": 1, "t\\u0079pe": "v"}',
    "ts with a line break": b'{"type": "w", "data": 1, "ts": "2026-03-18T00:05:48Z\\n"}',
    "ts of year 0": b'{"type": "w", "data": 1, "ts": "0000-01-01T00:00:00Z"}',
    "ts of month 13": b'{"type": "w", "data": 1, "ts": "2026-13-01T00:00:00Z"}',
    "ts of hour 25": b'{"type": "w", "data": 1, "ts": "2026-01-01T25:00:00Z"}',
    "ts of offset 25": b'{"type": "w", "data": 1, "ts": "2026-01-01T00:00:00+25:00"}',
    "ts an epoch as text": b'{"type": "w", "data": 1, "ts": "1742256348"}',
    "ts a week": b'{"type": "w", "data": 1, "ts": "2026-W12-3"}',
    "ts in Arabic digits": '{"type": "w", "data": 1, "ts": "\u0662026-03-18T00:00:00Z"}'.encode(),
    "ts of 10,000 digits": b'{"type": "w", "data": 1, "ts": "2026-01-01T00:00:00.%sZ"}'
    % (b"1" * 10_000),
    "ts true": b'{"type": "w", "data": 1, "ts": true}',
    "integer of 100,000 digits": b'{"type": "w", "data": %s}' % (b"9" * 100_000),
    "float of 100,000 digits": b'{"type": "w", "data": 1%s.5}' % (b"0" * 100_000),
    "minus a large number": b'{"type": "w", "data": -1e999}',
    "large in a list": b'{"type": "w", "data": [1, [2, 1e309]]}',
    "large behind objects": b'{"type": "w", "data": {"a": {"b": 36893488147419103232}}}',
    "depth by turns": b'{"type": "w", "data": %s1%s}' % (b'[{"a":' * 60, b"}]" * 60),
    "a surrogate deep in a key": b'{"type": "w", "data": [{"a": {"\\ud800b": 1}}]}',
    "surrogates in the wrong order": b'{"type": "w", "data": "\\udc00\\ud800"}',
    "many keys twice": b'{"type": "w", "data": {%s"a": 1}}' % (b'"a": 1, ' * 5000),
    "data of 900 KiB": b'{"type": "w", "data": "%s"}' % (b"x" * 900 * 1024),
    "meta of 300 KiB": b'{"type": "w", "data": 1, "meta": {"a": "%s"}}' % (b"x" * 300 * 1024),
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


HOSTS = (
    *("evil.example", "localhost.evil.example", "evil.example:6562", "127.0.0.1.evil", ""),
    *("localhost@evil.example", "localhost:0", "localhost:x", "localhost:6562:1", "[::2]"),
    *("127.0.0.2", "0.0.0.0", "localhost/", "local host", "::1:6562", "xn--localhost"),
    *("localhost..", ".localhost", "[::1", "::1]", "[::1]evil", "[::1]:", "localhost:99999"),
    *("localhost:-1", "localhost?", "localhost#a", "localhost\\@evil", "evil.example#localhost"),
    *("127.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "[fe80::1%25lo]"),
    *(
        "localhost,evil.example",
        "http://localhost",
        "user@localhost",
        "\uff4cocalhost".encode(),
        "*",
        "a b",
    ),
)


def test_a_foreign_host_is_refused_on_every_route(refused):
    """A name of a web page that was bound to loopback reaches nothing."""
    routes = (
        *(("GET", "/current"), ("GET", "/health"), ("POST", "/run/start"), ("POST", "/run/stop")),
        *(("POST", "/shutdown"), ("POST", "/event"), ("GET", "/metrics"), ("GET", "/docs")),
    )
    for host in HOSTS:
        for method, path in routes:
            refused({400, 421}, method, path, None, {"Host": host})


OUR_HOSTS = (
    *("localhost", "LOCALHOST:80", "127.0.0.1:9", "[::1]:6562", "[::1]", "localhost."),
    *("LocalHost.:6562", "[0:0:0:0:0:0:0:1]", "[0000::0001]:1", "[::0:1]:65535"),
)


def test_our_own_names_are_served(server):
    """With any port: a tunnel may change it."""
    for host in OUR_HOSTS:
        answer = server.ask("GET", "/health", None, {"Host": host})
        assert (host, 200) == (host, answer.status)


OTHER_SITES = (
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:1"},
    {"Origin": "https://127.0.0.1"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "CROSS-SITE"},
    {"Sec-Fetch-Site": "cross-site, none"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"},
    {"Sec-Fetch-Site": "none", "Origin": "null"},
    {"Origin": "http://localhost"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://127.0.0.1.evil.example"},
    {"Origin": "http://localhost@evil.example"},
    {"Origin": "file://"},
    {"Origin": "chrome-extension://abcdef"},
    {"Origin": "http://[::1]"},
    {"Origin": "http://127.0.0.1:99999"},
    {"Origin": "//127.0.0.1"},
    {"Origin": "127.0.0.1"},
    {"Origin": "http://127.0.0.1/"},
    {"Origin": "http://127.0.0.1 http://evil.example"},
)


def test_another_site_cannot_change_anything(refused):
    """Not even with an empty body, which a browser sends without asking."""
    for headers in OTHER_SITES:
        for path in ("/run/start", "/run/stop", "/shutdown", "/event"):
            refused({403}, "POST", path, None, headers)


def test_our_own_page_may_change_things(server):
    """The origin is the one that was asked."""
    headers = {"Origin": server.url, "Host": f"127.0.0.1:{server.port}"}

    assert 200 == server.ask("POST", "/run/start", None, headers).status


def test_wrong_methods_are_405_and_say_which_are_right(refused):
    """The `Allow` header lists them."""
    for method, path, allowed in (
        ("GET", "/event", "POST"),
        ("DELETE", "/v1/runs", "GET, HEAD, POST"),
        ("OPTIONS", "/v1/events", "GET, HEAD, POST"),
        ("BREW", "/current/x", "GET, HEAD"),
    ):
        assert allowed == refused({405}, method, path).headers["allow"]


PATHS = (
    *("/", "/nothing", "/event/", "/../etc/passwd", "/%2e%2e/x", "/v1/runs/..%2fx", "/current2"),
    *("/current/nothing", "/current/..", "/current/%2e%2e", "/current/..%2f..%2fetc%2fpasswd"),
    *("/current//etc/passwd", "/current/%00", "/current/%0a", "/current/%0d%0aX-Evil:%201"),
    *("/current/%ff", "/current/%ed%a0%80", "/current/%c0%af", "/current/%", "/current/%zz"),
    *("/current/%1b[31m", "/current/%e2%80%ae", f"/current/{'x' * 5000}", "/current/a?b=%00"),
    *("/current/site_20260318.ndjson", "/current/.telemetry", "/current/C:%5Cx", "/current/~"),
    *("/v1/runs/nothing", "/v1/runs/%2e", "/v1/runs/%00", "/v1/runs/%ff", "/v1/runs/%0a"),
    *("/v1/runs/site_20260318", "/v1/runs/CON", f"/v1/runs/{'9' * 4000}", "/v1/runs/-1"),
    *("/v1/runs/%F0%9F%92%A3", "/v1/runs/a%20b", "/v1/runs/a%5Cb", "/v1/runs/~root"),
    *("/v1/runs/001/telemetry.ndjson", "/v1/runs/001/run.json", "/v1/runs/", "/v1/", "/v1"),
    *("/.telemetry/lock", "/.git/config", "/.env", "/site_20260318.ndjson", "/static/../app.py"),
    *("/health/", "/HEALTH", "/health%00", "/ready/x", "/docs/", "/docs/..%2f..", "/openapi.yaml"),
    *("//evil.example/", "/\\evil.example", "/run/", "/run/start/x", "/%72un/", "/%2Fcurrent"),
    *("/metrics/", "/metrics/../current", "/favicon.ico", "/robots.txt", "/api", "/graphql"),
)


def test_unknown_paths_are_404(refused):
    """Also those that look for files, and those that no file could have."""
    for path in PATHS:
        answer = refused({404, 405}, "GET", path)
        assert "x-evil" not in answer.headers


def test_the_lists_are_as_long_as_they_should_be():
    """Each entry is a mistake that somebody made, or an attack that somebody tried."""
    assert len(MALFORMED) + len(UNPROCESSABLE) + len(BAD_RUN_BODIES) >= 150
    assert len(PATHS) >= 60
    assert len(HOSTS) + len(OTHER_SITES) >= 40


def test_an_id_of_another_event_is_a_conflict(server):
    """The same event again is answered as it was stored, and is stored once."""
    first = server.post("/event", {"type": "weather", "data": 5, "id": "x"}).json
    again = server.post("/event", {"type": "weather", "data": 5, "id": "x"}).json
    other = server.post("/event", {"type": "weather", "data": 6, "id": "x"})

    assert first == again
    assert 409 == other.status
    assert [5] == [line["data"] for line in server.lines()]
