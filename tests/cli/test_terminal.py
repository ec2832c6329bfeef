"""What a person sees in a real terminal: tables, and the picture of `current --follow`."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading

import pytest
from attrs import define, field

from tests.ports import lasting_port

# A terminal must be the controlling one, so that Ctrl-C typed into it becomes a signal.
_PROGRAM = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from telemetry_core.cli import main
main()
"""
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_HOME = "\x1b[H"


@define
class Terminal:
    """A command in a terminal: what it wrote, what is to be seen, and its keyboard."""

    process: subprocess.Popen[bytes]
    keyboard: int
    _written: bytearray = field(factory=bytearray)
    _reading: threading.Thread | None = None

    def read_on(self) -> None:
        """Take what is written, for ever."""

        def read() -> None:
            with contextlib.suppress(OSError):  # the other end was closed
                while part := os.read(self.keyboard, 65536):
                    self._written.extend(part)

        self._reading = threading.Thread(target=read, daemon=True)
        self._reading.start()

    @property
    def written(self) -> str:
        """Everything so far, with the codes that steer the terminal."""
        return self._written.decode("utf-8", "replace")

    @property
    def screen(self) -> list[str]:
        """The lines of the last picture that was drawn whole."""
        pictures = self.written.split(_HOME)
        return [_ESCAPE.sub("", line).rstrip() for line in pictures[-2:][0].splitlines()]

    @property
    def text(self) -> str:
        """The last picture as one text."""
        return "\n".join(self.screen)

    def type_in(self, keys: str) -> None:
        """Type *keys*."""
        os.write(self.keyboard, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        termios.tcsetwinsize(self.keyboard, (rows, columns))

    def end(self) -> int:
        """Return the exit code, once everything was read."""
        code = self.process.wait(20)
        self._reading.join(20)
        return code


@pytest.fixture
def terminal(tmp_path):
    """Return a function that runs a command in a terminal of a given size."""
    started = []

    def start(*words, columns=80, rows=24, term="xterm"):
        keyboard, screen = pty.openpty()
        termios.tcsetwinsize(screen, (rows, columns))
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *map(str, words)],
            stdin=screen,
            stdout=screen,
            stderr=screen,
            start_new_session=True,
            cwd=tmp_path,
            env={**os.environ, "TERM": term, "PYTHONWARNINGS": "default"},
        )
        os.close(screen)
        started.append(Terminal(process, keyboard))
        started[-1].read_on()
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.end()
        os.close(each.keyboard)


@pytest.fixture
def follow(terminal, service):
    """Return a function that starts `telemetry current --follow` in a terminal."""

    def start(*words, **how):
        return terminal("current", "--follow", "--interval", "0.05", *service.at, *words, **how)

    return start


@pytest.fixture
def record(telemetry, service):
    """Return a function that records an event at the service."""

    def send(type_, data):
        assert 0 == telemetry("record", type_, data, *service.at).code

    return send


def test_a_table_has_columns_and_no_tabs(terminal, record, service):
    """What a pipe gets as lines a person gets under a heading."""
    record("weather", '{"sky": "clear"}')
    shown = terminal("current", "weather", *service.at)

    assert 0 == shown.end()
    assert re.search(r"type +age +data +seq", _ESCAPE.sub("", shown.written))
    assert '{"sky":"clear"}' in shown.written
    assert "\t" not in shown.written


def test_data_is_no_markup(terminal, record, service):
    """Brackets stay brackets, and codes that steer a terminal are spelled out."""
    record("markup", '"[red]x[/red] \\u009b31m"')
    shown = terminal("current", "markup", *service.at)

    shown.end()
    assert r'"[red]x[/red] \x9b31m"' in shown.written


def test_the_picture_is_refreshed_in_place(follow, record, eventually):
    """The new value stands where the old one stood, and each type once."""
    record("weather", '"before"')
    shown = follow("weather")
    eventually(lambda: '"before"' in shown.text)
    lines = len(shown.screen)
    record("weather", '"after"')
    eventually(lambda: '"after"' in shown.text)

    assert '"before"' not in shown.text
    assert 1 == shown.text.count("weather")
    assert lines == len(shown.screen)
    assert "Ctrl-C ends it" in shown.screen[0]


@pytest.mark.parametrize("how", ["key", "signal"])
def test_the_terminal_is_given_back(follow, record, eventually, how):
    """Ctrl-C and SIGTERM show the cursor and the screen of before, with the last table on it."""
    record("weather", '"last"')
    shown = follow("weather")
    eventually(lambda: '"last"' in shown.text)
    if how == "key":
        shown.type_in("\x03")
    else:
        shown.process.send_signal(signal.SIGTERM)

    assert 130 == shown.end()
    assert "Traceback" not in shown.written
    assert shown.written.rindex("\x1b[?25l") < shown.written.rindex("\x1b[?25h")
    assert shown.written.index("\x1b[?1049h") < shown.written.index("\x1b[?1049l")
    assert '"last"' in shown.written.partition("\x1b[?1049l")[2]


def test_the_picture_outlives_the_service(terminal, telemetry, commands, eventually):
    """It keeps what was known, says what is wrong on top, and goes on."""
    service = commands.serve(port=lasting_port())
    telemetry("record", "weather", '"before"', *service.at)
    shown = terminal("current", "--follow", "--interval", "0.05", *service.at)
    eventually(lambda: '"before"' in shown.text)
    service.running.end(signal.SIGKILL)
    eventually(lambda: shown.screen[0].startswith("no answer from "))
    assert '"before"' in shown.text
    commands.serve(port=service.port)
    telemetry("record", "weather", '"after"', *service.at)
    eventually(lambda: '"after"' in shown.text and "Ctrl-C ends it" in shown.screen[0])


@pytest.mark.parametrize(
    ("size", "is_cut"),
    [((100, 30), False), ((60, 12), False), ((40, 12), False), ((40, 9), True), ((24, 9), True)],
)
def test_the_picture_fits_the_terminal(follow, record, eventually, size, is_cut):
    """No line is too long and none too many; in a low one it says how many are missing."""
    for number in range(5):
        record(f"type {number}", f'"{"long " * 30}"')
    columns, rows = size
    shown = follow(columns=columns, rows=rows)
    eventually(lambda: "type 0" in shown.text)

    assert all(len(line) <= columns for line in shown.screen)
    assert len(shown.screen) <= rows
    assert "Ctrl-C" in shown.screen[0]
    assert is_cut == bool(re.search(r"and \d+ more", shown.text))
    assert is_cut == ("type 4" not in shown.text)


def test_the_picture_follows_the_size(follow, record, eventually):
    """A window that is made wider shows more at the next look."""
    record("weather", f'"{"long " * 12}end"')
    shown = follow("weather", columns=40, rows=6)
    eventually(lambda: "…" in shown.text)
    shown.resize(120, 24)
    eventually(lambda: 'end"' in shown.text)


def test_nothing_recorded_is_told(terminal, eventually):
    """And the picture waits for the first event."""
    shown = terminal("current", "--follow", "--storage", "memory:")
    eventually(lambda: "nothing was recorded yet" in shown.written)


def test_nobody_there_leaves_the_screen_alone(terminal):
    """An error of the first look is a line, and no picture was begun."""
    shown = terminal("current", "--follow", "--port", 1)

    assert 4 == shown.end()
    assert "\x1b[?1049h" not in shown.written
    assert 1 == shown.written.count("\n")


def test_a_dumb_terminal_gets_lines(follow, record, eventually):
    """One that cannot place its cursor, such as a shell in an editor."""
    record("weather", '"plain"')
    shown = follow("weather", term="dumb")
    eventually(lambda: '"plain"' in shown.written)

    assert "\x1b" not in shown.written
    assert shown.written.splitlines()[0].count("\t") == 3


def test_lines_in_a_terminal_say_what_is_wrong_too(terminal, telemetry, commands, eventually):
    """There is no picture to say it in."""
    service = commands.serve()
    telemetry("record", "weather", '"before"', *service.at)
    shown = terminal("current", "--follow", "--json", "--interval", "0.05", *service.at)
    eventually(lambda: '"before"' in shown.written)
    service.running.end(signal.SIGKILL)
    eventually(lambda: "; trying again" in shown.written)
