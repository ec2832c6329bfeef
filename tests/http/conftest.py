"""A real service on a real socket, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from attrs import define

_START_S = 30.0
_PROGRAM = """
import sys
from telemetry_http.server import run_service
from telemetry_http.service import TelemetryService
with TelemetryService(sys.argv[1]) as service:
    run_service(
        service,
        host=sys.argv[2],
        port=int(sys.argv[3]),
        on_ready=lambda url: print(url, flush=True),
    )
"""


@define
class Answer:
    """What came back: the status, the headers in lower case, and the JSON in the body."""

    status: int
    headers: dict[str, str]
    json: Any


@define
class Server:
    """A running service and how to ask it."""

    process: subprocess.Popen[str]
    site_dir: Path
    port: int

    @property
    def url(self) -> str:
        """The address that a client is given."""
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            given = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, body, {**given, **(headers or {})})
            answer = connection.getresponse()
            text = answer.read()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, json.loads(text) if text else None)
        finally:
            connection.close()

    def post(self, path: str, value: Any = None) -> Answer:
        """Post *value* as JSON, or nothing."""
        return self.ask("POST", path, None if value is None else json.dumps(value))

    def get(self, path: str) -> Answer:
        """Get *path*."""
        return self.ask("GET", path)

    def state(self) -> tuple[dict[str, int], Any, Any]:
        """Return what a refused request may not change: files with sizes, current and the run."""
        sizes = {
            str(path.relative_to(self.site_dir.parent)): path.stat().st_size
            for path in sorted(self.site_dir.parent.rglob("*"))
            if path.is_file() and ".telemetry" not in path.parts
        }
        return sizes, self.get("/current").json, self.get("/run").json

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of all files, in order of seq."""
        found = [
            json.loads(line)
            for path in self.site_dir.rglob("*.ndjson")
            for line in path.read_text("utf-8").splitlines()
        ]
        return sorted(found, key=lambda event: event["seq"])

    def kill(self) -> None:
        """End it at once."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def _start(site_dir: Path, host: str = "127.0.0.1", port: int = 0) -> Server:
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(site_dir), host, str(port)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url, f"the service did not start, exit {process.wait()}"
    return Server(process, site_dir, int(url.rpartition(":")[2]))


def _end(server: Server) -> None:
    if server.process.poll() is None:
        server.kill()
    assert server.process.stdout is not None
    server.process.stdout.close()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """Return a function that starts a service on the test's site directory."""
    started: list[Server] = []

    def start(host: str = "127.0.0.1", port: int = 0) -> Server:
        started.append(_start(tmp_path / "site", host, port))
        return started[-1]

    yield start
    for server in started:
        _end(server)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a running service for all tests of a module that do not mind each other."""
    server = _start(tmp_path_factory.mktemp("shared") / "site")
    yield server
    _end(server)


@pytest.fixture
def server(start_server: Callable[[], Server]) -> Server:
    """Return a running service."""
    return start_server()


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Return a function that asks until the answer is true, for a bounded time."""

    def wait(ask: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + _START_S
        while not (answer := ask()):
            assert time.monotonic() < deadline, "it never became true"
            time.sleep(0.02)
        return answer

    return wait
