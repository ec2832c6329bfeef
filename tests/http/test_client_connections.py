"""How a client treats its connections, and what it says when there is nobody at the other end."""

import json
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from telemetry_core import TelemetryError
from telemetry_http import ServerUnreachableError, TelemetryClient, TelemetryClientError
from tests.ports import lasting_port

EVENT = {"seq": 1, "ts": "2026-03-18T00:05:48.955Z", "type": "a", "data": 1, "meta": {}}
HANG_UP = None


class ScriptedServer:
    """
    Answers the requests it gets, on whatever connection, with one entry of a script after another.

    `HANG_UP` closes the connection instead, after the request was read. At the end of the script
    nothing is answered any more.
    """

    def __init__(self, script):
        self.requests = []
        self.connections = 0
        self._script = iter(script)
        self._open = []
        self._closing = False
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self):
        while True:
            connection, _ = self._socket.accept()
            if self._closing:
                connection.close()
                return
            self.connections += 1
            self._open.append(connection)
            self._threads.append(threading.Thread(target=self._answer, args=(connection,)))
            self._threads[-1].start()

    def _answer(self, connection):
        with connection, connection.makefile("rb") as stream:
            while request := stream.readline():
                length = 0
                while (header := stream.readline().strip().lower()) != b"":
                    name, _, value = header.partition(b":")
                    length = int(value) if name == b"content-length" else length
                stream.read(length)
                with self._lock:
                    self.requests.append(request.split(b" HTTP")[0].decode())
                    answer = next(self._script, b"")
                if answer is HANG_UP:
                    return
                if answer:
                    connection.sendall(answer)

    def close(self):
        """Hang up everywhere and wait for the threads."""
        self._closing = True
        socket.create_connection(self._socket.getsockname()).close()
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the client closed it first
        for thread in self._threads:
            thread.join()
        self._socket.close()


def answer(body, status="200 OK", media_type="application/json"):
    """Return an HTTP response with *body*, as JSON unless it is text."""
    text = (body if isinstance(body, str) else json.dumps(body)).encode()
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {len(text)}\r\n\r\n"
    ).encode() + text


@pytest.fixture
def scripted():
    """Return a function that starts a server with a script."""
    started = []

    def start(*script):
        started.append(ScriptedServer(script))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def free_port():
    """Return a port on which nobody listens, and nobody else will."""
    return lasting_port()


def test_a_hundred_calls_use_one_connection(scripted):
    """The old client made a new connection for each."""
    server = scripted(*[answer(EVENT)] * 100)

    with TelemetryClient(base_url=server.url) as client:
        for _ in range(100):
            client.post_event("a", 1)

    assert (100, 1) == (len(server.requests), server.connections)


def test_a_closed_client_makes_new_connections(scripted):
    """Closing lets go of the connections, not of the client; and twice is fine."""
    server = scripted(*[answer({"ok": True})] * 2)
    client = TelemetryClient(base_url=server.url)

    for _ in range(2):
        client.health()
        client.close()
        client.close()

    assert server.connections == 2


def test_a_server_that_is_not_there_is_named(free_port):
    """The error is a ConnectionError of our own, with the URL and what to do."""
    with TelemetryClient("127.0.0.1", free_port) as client:
        for call in (client.health, client.current, lambda: client.insert_current("a", 1)):
            with pytest.raises(ServerUnreachableError, match="telemetry run") as caught:
                call()
            assert f"http://127.0.0.1:{free_port}" in str(caught.value)
            assert "may have been done" not in str(caught.value)
            assert isinstance(caught.value, ConnectionError)
            assert isinstance(caught.value, TelemetryError)


@pytest.mark.parametrize("host", ["nowhere.invalid", "two words", "x" * 70, "..", "%00"])
def test_a_host_that_cannot_be_is_unreachable(host):
    """Whatever the name, no error of another library comes through."""
    with (
        TelemetryClient(base_url=f"http://{host}:1") as client,
        pytest.raises(ServerUnreachableError),
    ):
        client.health()


def test_no_answer_in_time_is_an_error(scripted):
    """A service that hangs stops nobody for longer than the timeout."""
    server = scripted()

    with TelemetryClient(base_url=server.url, timeout=0.2) as client:
        with pytest.raises(ServerUnreachableError, match=r"no answer within 0\.2 s; is"):
            client.current()
        with pytest.raises(ServerUnreachableError, match=r"0\.2 s, and .* may have been done"):
            client.post_event("a", 1, id="x")

    assert server.requests == ["GET /current", "POST /event"]


def test_a_reading_is_asked_again_when_the_connection_breaks(scripted):
    """The server closed an idle connection just as it was used: nobody needs to know."""
    server = scripted(answer({"ok": True}), HANG_UP, answer({"current": {}}))

    with TelemetryClient(base_url=server.url) as client:
        client.health()
        assert client.current() == {}

    assert server.requests == ["GET /health", "GET /current", "GET /current"]


def test_a_reading_is_asked_again_once_only(scripted):
    """A server that always hangs up is not asked for ever."""
    server = scripted(*[HANG_UP] * 5)

    with TelemetryClient(base_url=server.url) as client, pytest.raises(ServerUnreachableError):
        client.health()

    assert server.requests == ["GET /health"] * 2


def test_an_event_without_an_id_is_never_sent_twice(scripted):
    """It may have been recorded, and the error says so."""
    server = scripted(answer(EVENT), HANG_UP, answer(EVENT), answer(EVENT))

    with TelemetryClient(base_url=server.url) as client:
        client.post_event("a", 1)
        with pytest.raises(ServerUnreachableError, match="may have been done"):
            client.post_event("a", 1)
        assert len(server.requests) == 2
        client.post_event("a", 1)


def test_an_event_with_an_id_is_sent_again(scripted):
    """The service stores it once, however often it comes."""
    server = scripted(answer(EVENT), HANG_UP, answer(EVENT))

    with TelemetryClient(base_url=server.url) as client:
        client.post_event("a", 1)
        assert client.post_event("a", 1, id="x") == EVENT

    assert server.requests == ["POST /event"] * 3


@pytest.mark.parametrize("call", ["start_run", "stop_run", "shutdown"])
def test_what_changes_a_run_is_never_asked_twice(scripted, call):
    """A second start would be a conflict with the first one."""
    server = scripted(HANG_UP, answer({}))

    with TelemetryClient(base_url=server.url) as client, pytest.raises(ServerUnreachableError):
        getattr(client, call)()

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "response",
    [
        answer("<html>It works!</html>", media_type="text/html"),
        answer([1]),
        answer("null"),
        answer({"current": [1]}),
        answer({"current": {"a": {"seq": 1}}}),
        answer({"current": {"a": 1}}),
        answer({}),
    ],
)
def test_a_stranger_is_told_from_a_service(scripted, response):
    """Something else may listen on the port."""
    server = scripted(response)

    with (
        TelemetryClient(base_url=server.url) as client,
        pytest.raises(TelemetryClientError, match="no answer of a telemetry service") as caught,
    ):
        client.current()

    assert server.url in caught.value.detail


@pytest.mark.parametrize(
    ("response", "status", "detail"),
    [
        (answer({"detail": "no"}, "503 Service Unavailable"), 503, "no"),
        (answer("Bad Gateway", "502 Bad Gateway", "text/plain"), 502, "Bad Gateway"),
        (answer(["a"], "500 Oops"), 500, '["a"]'),
        (answer({"other": 1}, "500 Oops"), 500, '{"other": 1}'),
        (answer("", "302 Found\r\nLocation: /elsewhere", "text/plain"), 302, ""),
    ],
)
def test_an_error_carries_the_status_and_what_was_said(scripted, response, status, detail):
    """From the problem document, or the text of whoever answered instead."""
    server = scripted(response)

    with (
        TelemetryClient(base_url=server.url) as client,
        pytest.raises(TelemetryClientError) as caught,
    ):
        client.get_current("a")

    assert (status, detail) == (caught.value.status_code, caught.value.detail)


def test_a_proxy_of_the_environment_is_not_asked(scripted, monkeypatch, free_port):
    """The service is near by, and a proxy is for what is far."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server = scripted(answer({"ok": True}))

    with TelemetryClient(base_url=server.url) as client:
        assert client.health() == {"ok": True}


def test_twenty_threads_share_one_client(server):
    """Each gets the answers to its own questions, and nothing is lost or doubled."""
    together = threading.Barrier(20)

    def work(name):
        together.wait()
        posted = [client.post_event(f"type/{name}", [name, number]) for number in range(25)]
        assert [event.data for event in posted] == [[name, number] for number in range(25)]
        assert client.current_event(f"type/{name}") == posted[-1]
        return [event.seq for event in posted]

    with TelemetryClient(base_url=server.url) as client, ThreadPoolExecutor(20) as pool:
        given = [seq for seqs in pool.map(work, range(20)) for seq in seqs]

    assert sorted(given) == [line["seq"] for line in server.lines()]
    assert len(set(given)) == 500


_FORK = """
import os, sys
from telemetry_http import TelemetryClient

client = TelemetryClient(base_url=sys.argv[1])
client.post_event("before", 0)
child = os.fork()
name = "parent" if child else "child"
for number in range(50):
    event = client.post_event(name, number)
    assert (event.type, event.data) == (name, number), event
    assert client.current_event(name) == event
if not child:
    client.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
client.health()
client.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_makes_its_own_connections(server):
    """Parent and child ask at the same time and read no answer of the other."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", _FORK, server.url],
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert len(server.lines()) == 101


_SERVE = """
import sys
from telemetry_http import TelemetryService
from telemetry_http.server import run_service
with TelemetryService(sys.argv[1]) as service:
    run_service(
        service,
        host="127.0.0.1",
        port=int(sys.argv[2]),
        on_ready=lambda url: print(url, flush=True),
    )
"""


def test_a_server_that_comes_back_is_found_again(tmp_path, free_port):
    """The same client object, with connections to a server that was killed in between."""

    def serve():
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(tmp_path / "site"), str(free_port)],
            stdout=subprocess.PIPE,
        )
        assert process.stdout.readline(), process.wait()
        return process

    def kill(process):
        process.kill()
        process.wait()
        process.stdout.close()

    with TelemetryClient("127.0.0.1", free_port) as client:
        first = serve()
        try:
            with ThreadPoolExecutor(8) as pool:
                before = list(pool.map(client.insert_current, ["a"] * 40, range(40)))
        finally:
            kill(first)
        second = serve()
        try:
            after = client.insert_current("a", 40)
        finally:
            kill(second)
        with pytest.raises(ServerUnreachableError):
            client.insert_current("a", 41)

    assert int(after) > max(map(int, before))
