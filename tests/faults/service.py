"""The real service in a process of its own, to be killed or to find its disk broken."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from http.client import HTTPConnection

from attrs import define

from tests.faults.driver import PATIENCE_S, wait_until
from tests.ports import lasting_port

_COMMAND = "from telemetry_core.cli import main; main()"


@define
class Service:
    """A running `telemetry run`."""

    process: subprocess.Popen
    port: int

    @classmethod
    @contextlib.contextmanager
    def running(cls, site, environment=None):
        """Start one on the directory *site*, wait until it answers, and kill it at the end."""
        port = lasting_port()
        words = ["run", "--port", str(port), "--site-dir", str(site)]
        service = cls(
            subprocess.Popen(
                [sys.executable, "-c", _COMMAND, *words],
                stderr=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
            ),
            port,
        )
        try:
            wait_until(service._is_answering)
            yield service
        finally:
            service.kill()

    def connect(self):
        """Return a connection to it."""
        return HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)

    def ask(self, method, path, value=None):
        """Return the status and the JSON of one answer."""
        with contextlib.closing(self.connect()) as connection:
            return send(connection, method, path, value)

    def kill(self):
        """Kill it, if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def _is_answering(self):
        assert self.process.poll() is None, "it ended"
        try:
            return self.ask("GET", "/health")[0] == 200
        except ConnectionRefusedError:
            return False


def send(connection, method, path, value=None):
    """Send one request over *connection* and return the status and the JSON of the answer."""
    body = None if value is None else json.dumps(value)
    connection.request(method, path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())
