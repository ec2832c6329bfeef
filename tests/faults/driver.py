"""What starts the worker, gives it orders, and says which call is to go wrong."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from attrs import define, frozen

IS_LONG = os.environ.get("FAULTS") == "long"
"""Whether everything is tried; else what is most telling, in a minute or two."""

HERE = Path(__file__).parent
PATIENCE_S = 50.0

ALL_CALLS = "write sync rename mkdir truncate open unlink"


@frozen
class Fault:
    """The call that goes wrong, and how; the words are those of the head of `shim.c`."""

    mode: str
    at: int
    calls: str = ALL_CALLS
    name: str = ""

    def variables(self):
        """Return the environment that tells the shim."""
        return {
            "FAULT_MODE": self.mode,
            "FAULT_AT": str(self.at),
            "FAULT_CALLS": self.calls,
            "FAULT_NAME": self.name,
        }


NO_FAULT = Fault("EIO", -1)
"""The calls are only written down."""


@define
class Worker:
    """A running `worker.py`."""

    process: subprocess.Popen
    _begun: int | None = None

    @classmethod
    def start(cls, shim=None):
        """Start one, with the *shim* loaded before it."""
        environment = dict(os.environ)
        if shim is not None:
            environment["LD_PRELOAD"] = str(shim)
        return cls(
            subprocess.Popen(
                [sys.executable, str(HERE / "worker.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
        )

    def do(self, trial, script, *, fault=None, **options):
        """Do *script* to its end in the directory *trial*, and return how the process ended."""
        self.begin(trial, script, fault=fault, **options)
        return self.ended()

    def begin(self, trial, script, *, fault=None, first=0, **options):
        """Begin *script*, numbering from *first* on, and return the pid of its process."""
        site, story = places(trial)
        order = {"script": script, "site": str(site), "story": str(story)}
        order |= {"options": options, "first": first}
        if fault is not None:
            told = {"FAULT_SITE": str(site), "FAULT_JOURNAL": str(story)}
            order["fault"] = {**fault.variables(), **told}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        self._begun = int(self.process.stdout.readline())
        return self._begun

    def ended(self):
        """Wait for the end of what was begun and return its exit code."""
        code = int(self.process.stdout.readline())
        self._begun = None
        return code

    def kill_after(self, pid, trial, lines, *, before=lambda: None):
        """Once its story is so many lines long, call *before*, return its answer, and kill it."""
        try:
            wait_until(lambda: _count_lines(places(trial)[1]) >= lines)
            return before()
        finally:
            self.kill(pid)

    def kill(self, pid):
        """Kill what was begun."""
        os.kill(pid, signal.SIGKILL)
        assert self.ended() == -signal.SIGKILL

    def close(self):
        """End it, and what a test that failed has left behind."""
        if self._begun is not None:
            os.kill(self._begun, signal.SIGKILL)
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(PATIENCE_S)


def places(trial):
    """Return the site directory and the story in the directory *trial*; the story is outside."""
    return trial / "site", trial / "story"


def event_files(site):
    """Return the files of the streams; what stands in `.telemetry` is the storage's own."""
    return [path for path in sorted(site.rglob("*.ndjson")) if ".telemetry" not in path.parts]


def fresh(trial):
    """Return the directory *trial*, with nothing in it."""
    shutil.rmtree(trial, ignore_errors=True)
    trial.mkdir(parents=True)
    return trial


def wait_until(is_so):
    """Return once *is_so()*, or fail when it takes far too long."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


def _count_lines(path):
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0
