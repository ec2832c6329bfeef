"""The commands as a user has them: in this process where that tells the same, else in their own."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from telemetry_core.cli.group import make_cli

TELEMETRY = [sys.executable, "-c", "from telemetry_core.cli import main; main()"]
_START_S = 30.0
_LISTENING = re.compile(r"^listening on  http://\S+:(\d+)$", re.MULTILINE)
_VARIABLE = re.compile(r"(PANOPTES_)?TELEMETRY_|COLUMNS$|LINES$|NO_COLOR$|FORCE_COLOR$")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@frozen
class Done:
    """What a command left behind: its exit code, its data and its messages."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The data read as one JSON document."""
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        """The data read as NDJSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def rows(self) -> list[list[str]]:
        """The data read as lines split by tabs."""
        return [line.split("\t") for line in self.out.splitlines()]


@frozen
class Running:
    """A command that goes on, with what it writes going into files."""

    process: subprocess.Popen[bytes]
    out_path: Path
    err_path: Path

    @property
    def out(self) -> str:
        """The data so far."""
        return self.out_path.read_text("utf-8")

    @property
    def err(self) -> str:
        """The messages so far."""
        return self.err_path.read_text("utf-8")

    @property
    def port(self) -> int:
        """Where `telemetry run` says that it listens; 0 until it does."""
        found = _LISTENING.search(self.err)
        return int(found[1]) if found else 0

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send the signal *number* and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(20)


@frozen
class Service:
    """A running service, and the words by which a command is told where."""

    running: Running
    site_dir: Path
    port: int

    @property
    def at(self) -> tuple[str, str]:
        """What a command that goes to it is given."""
        return ("--port", str(self.port))


def _eventually(ask: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + _START_S
    while not (answer := ask()):
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.02)
    return answer


def _environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not _VARIABLE.match(name)}
    return {**kept, "PYTHONWARNINGS": "default", **more}


class _Commands:
    """Starts commands in processes of their own, and ends those that are left."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started: list[Running] = []

    def start(self, *words: object, given: Any = subprocess.DEVNULL, **env: str) -> Running:
        place = self._directory / f"command-{len(self._started)}"
        place.mkdir()
        out_path, err_path = place / "out", place / "err"
        with out_path.open("wb") as out, err_path.open("wb") as err:
            process = subprocess.Popen(
                [*TELEMETRY, *map(str, words)],
                stdin=given,
                stdout=out,
                stderr=err,
                cwd=place,
                env=_environment(**env),
            )
        self._started.append(Running(process, out_path, err_path))
        return self._started[-1]

    def serve(self, *words: object, port: int = 0, **env: str) -> Service:
        site_dir = self._directory / "site"
        running = self.start("run", "--port", port, "--site-dir", site_dir, *words, **env)

        def listens() -> int:
            assert running.process.poll() is None, running.err
            return running.port

        return Service(running, site_dir, _eventually(listens))

    def close(self) -> None:
        for running in self._started:
            if running.process.poll() is None:
                running.process.kill()
            running.process.wait()
            if running.process.stdin is not None:
                running.process.stdin.close()


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide what this machine's environment says about services and terminals."""
    for name in filter(_VARIABLE.match, list(os.environ)):
        monkeypatch.delenv(name)


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[_Commands]:
    """Return what starts commands and services of this test alone."""
    started = _Commands(tmp_path)
    yield started
    started.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a running service that the tests of a module share."""
    started = _Commands(tmp_path_factory.mktemp("service"))
    yield started.serve()
    started.close()


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Return a function that asks until the answer is true, for a bounded time."""
    return _eventually


@pytest.fixture
def telemetry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Done]]:
    """Return a function that runs one command to its end, in this process."""
    monkeypatch.chdir(tmp_path)
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    loggers = list(logging.getLogger().handlers)

    def run(*words: object, given: bytes = b"") -> Done:
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
        with monkeypatch.context() as streams:
            streams.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8"))
            streams.setattr(sys, "stdout", out)
            streams.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as end:
                make_cli().main([str(word) for word in words], prog_name="telemetry")
        texts = []
        for stream in (out, err):
            stream.flush()
            texts.append(stream.buffer.getvalue().decode("utf-8"))
        return Done(end.value.code or 0, *texts)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
    logging.getLogger().handlers[:] = loggers


@pytest.fixture
def install(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], None]:
    """Return a function that installs a plugin for the time of the test, in every process of it."""
    site = tmp_path_factory.mktemp("installed")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))

    def make(name: str, code: str) -> None:
        monkeypatch.delitem(sys.modules, f"plugin_of_{name}", raising=False)
        (site / f"plugin_of_{name}.py").write_text(code, "utf-8")
        info = site / f"{name}_plugin-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {name}-plugin\nVersion: 1.0\n", "utf-8")
        entry = f"[telemetry_core]\n{name} = plugin_of_{name}\n"
        (info / "entry_points.txt").write_text(entry, "utf-8")

    return make


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., Done]:
    """Return a function that gives bash a line, in which `telemetry` is the command."""
    command = shlex.join(TELEMETRY)

    def run(line: str, *, given: str = "") -> Done:
        done = subprocess.run(
            ["bash", "-c", f'telemetry() {{ {command} "$@"; }}\n{line}'],
            input=given.encode(),
            capture_output=True,
            cwd=tmp_path,
            timeout=50,
            check=False,
            env=_environment(),
        )
        return Done(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"))

    return run


@pytest.fixture
def whole(tmp_path: Path) -> Callable[..., Done]:
    """Return a function that runs one command to its end, in a process of its own."""

    def run(*words: object, given: bytes = b"", **env: str) -> Done:
        done = subprocess.run(
            [*TELEMETRY, *map(str, words)],
            input=given,
            capture_output=True,
            cwd=tmp_path,
            timeout=50,
            check=False,
            env=_environment(**env),
        )
        return Done(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"))

    return run
