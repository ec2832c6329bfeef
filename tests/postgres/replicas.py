"""Services on one database: processes of their own, or workers on one port."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

TELEMETRY = [sys.executable, "-c", "from telemetry_core.cli import main; main()"]
PATIENCE_S = 45


class Service:
    """A `telemetry run` on a port of its own."""

    def __init__(self, place, log, *options, port=0):
        self._log = log
        command = [*TELEMETRY, "run", "--port", str(port), "--storage", place, *options]
        with log.open("wb") as said:
            self.process = subprocess.Popen(command, stderr=said, env=_environment())
        self._until(lambda: "Ctrl-C" in log.read_text())
        self.port = int(re.search(r"listening on .*:(\d+)$", log.read_text(), re.MULTILINE)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()

    @property
    def said(self):
        """What it said on stderr."""
        return self._log.read_text()

    def stop(self):
        """End it as an operator does, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def ask(self, path, body=None):
        """Return the answer to a GET, or to a POST of *body*."""
        return ask(self.port, path, body)

    def _until(self, is_so):
        deadline = time.monotonic() + PATIENCE_S
        while not is_so():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)


def ask(port, path, body=None):
    """Return the answer to a GET, or to a POST of *body*, on a connection of its own."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        return json.load(response)


def until(is_so):
    """Return once *is_so* says so."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def children_of(pid):
    """Return the processes that *pid* started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(child) for child in children.split()]


def _environment():
    return {name: value for name, value in os.environ.items() if "TELEMETRY_" not in name}
