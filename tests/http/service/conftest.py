"""`telemetry run` as its users start it, on a port of its own, and a way to ask it anything."""

import contextlib
import json
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest
from attrs import define, field

TELEMETRY = Path(sys.executable).with_name("telemetry")
LIMIT_S = 30.0
MANY_FILES = 4096
ADMIN, WRITE, READ = "admin-0123456789abcdef", "write-0123456789abcdef", "read-0123456789abcdef"


@define
class Answer:
    """What came back: the status, the headers in lower case, and the body."""

    status: int
    headers: dict
    text: str

    @property
    def json(self):
        """The JSON in the body."""
        return json.loads(self.text)


class UnixConnection(HTTPConnection):
    """A connection to a socket that is a file."""

    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        """Connect to the file."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(20)
        self.sock.connect(os.fspath(self.path))


@define
class Service:
    """A running service and how to ask it."""

    process: subprocess.Popen
    err: Path
    site_dir: Path
    port: int = 0
    unix: Path | None = None
    tls: ssl.SSLContext | None = None
    opened: list = field(factory=list)

    @property
    def log(self):
        """Everything that it wrote on stderr."""
        return self.err.read_text()

    def connection(self):
        """Return a new connection to it."""
        if self.unix is not None:
            return UnixConnection(self.unix)
        if self.tls is not None:
            return HTTPSConnection("localhost", self.port, timeout=20, context=self.tls)
        return HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(self, method, path, value=None, *, token=None, headers=None):
        """Send one request, with *value* as JSON, on a connection of its own."""
        body = value if value is None or isinstance(value, bytes) else json.dumps(value)
        given = {} if body is None else {"Content-Type": "application/json"}
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        with contextlib.closing(self.connection()) as connection:
            connection.request(method, path, body, {**given, **(headers or {})})
            answer = connection.getresponse()
            text = answer.read().decode()
            found = {name.lower(): each for name, each in answer.getheaders()}
            return Answer(answer.status, found, text)

    def open(self, text=b""):
        """Return a bare connection on which *text* was sent; it is closed with the test."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        self.opened.append(connection)
        connection.sendall(text)
        return connection

    def rss_mb(self):
        """Return how much memory the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def end(self, number=signal.SIGTERM):
        """End it and return its exit code, which comes within the promised 5 s."""
        self.process.send_signal(number)
        return self.process.wait(5 + LIMIT_S * ("coverage" in sys.modules))

    def close(self):
        """Leave nothing behind."""
        for connection in self.opened:
            connection.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def _start(directory, command, environment, ready):
    err = directory / f"stderr-{time.monotonic_ns()}"
    clean = {name: each for name, each in os.environ.items() if "TELEMETRY_" not in name}
    with err.open("wb") as file:
        process = subprocess.Popen(
            [os.fspath(each) for each in command],
            stderr=file,
            stdout=subprocess.DEVNULL,
            env={**clean, "PYTHONWARNINGS": "default", **environment},
        )
    service = Service(process, err, directory / "site")
    deadline = time.monotonic() + LIMIT_S
    while not ready(service):
        assert process.poll() is None, service.log
        assert time.monotonic() < deadline, service.log
        time.sleep(0.02)
    return service


def _listens(service):
    """See whether it says where it listens, and remember where."""
    found = service.log.partition("listening on ")[2].partition("\n")[0].strip().partition('"')[0]
    if found.startswith("unix:"):
        service.unix = Path(found.removeprefix("unix:"))
    elif found:
        service.port = int(found.rpartition(":")[2])
    return bool(found)


@pytest.fixture(scope="module")
def serve_in():
    """Return a function that starts `telemetry run` on the site directory of a directory."""
    started = []

    def serve(directory, *options, max_files=None, **environment):
        command = [TELEMETRY, "run", "--site-dir", directory / "site", *options]
        if max_files is not None:
            command = ["sh", "-c", f'ulimit -n {max_files} && exec "$@"', "sh", *command]
        if "--unix" not in options:
            command += ["--port", "0"]
        started.append(_start(directory, command, environment, _listens))
        return started[-1]

    yield serve
    for service in started:
        service.close()


@pytest.fixture
def serve(serve_in, tmp_path):
    """Return a function that starts `telemetry run` in the test's own directory."""
    started = []

    def start(*options, **environment):
        started.append(serve_in(tmp_path, *options, **environment))
        return started[-1]

    yield start
    for service in started:
        service.close()


@pytest.fixture
def many_files():
    """Let the test, and what it starts, open thousands of files, as far as this user may."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = before
    if soft != resource.RLIM_INFINITY:
        wanted = MANY_FILES if hard == resource.RLIM_INFINITY else min(MANY_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        if max(soft, wanted) < MANY_FILES:
            pytest.skip(f"this user may open no more than {max(soft, wanted)} files")
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def run_program(tmp_path):
    """Return a function that starts a Python program that says where it listens."""
    started = []

    def start(program, *arguments):
        path = tmp_path / "program.py"
        path.write_text(program)
        command = [sys.executable, path, *arguments]
        started.append(_start(tmp_path, command, {}, _listens))
        return started[-1]

    yield start
    for service in started:
        service.close()


@pytest.fixture(scope="module")
def write_tokens():
    """Return a function that writes a file with a token for each permission."""

    def write(path):
        path.write_text(f"# ours\n\nread {READ}\nwrite {WRITE}\nadmin {ADMIN}\n")
        path.chmod(0o600)
        return path

    return write


@pytest.fixture
def eventually():
    """Return a function that asks until the answer is true, for a bounded time."""

    def wait(ask):
        deadline = time.monotonic() + LIMIT_S
        while not (answer := ask()):
            assert time.monotonic() < deadline, "it never became true"
            time.sleep(0.02)
        return answer

    return wait
