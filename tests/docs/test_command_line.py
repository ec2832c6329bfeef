"""docs/command-line.md: its examples run, and it has every command, option, variable and code."""

import logging
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from telemetry_core.cli import exits
from telemetry_core.cli.group import make_cli
from telemetry_core.plugins import ALLOW_VARIABLE

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text("utf-8")
TELEMETRY = shlex.join([sys.executable, "-c", "from telemetry_core.cli import main; main()"])
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAG = re.compile(r"`(--?[A-Za-z][A-Za-z-]*)`")
_START_S = 30.0


def _commands():
    """Return every command of the tree, by its words."""
    found = {}

    def walk(name, command, parent):
        context = click.Context(command, parent, info_name=name, **command.context_settings)
        found[context.command_path] = command
        if isinstance(command, click.Group):
            for each in command.list_commands(context):
                walk(each, command.get_command(context, each), context)

    handlers = list(logging.getLogger().handlers)
    walk("telemetry", make_cli(), None)
    logging.getLogger().handlers[:] = handlers
    return found


COMMANDS = _commands()


def _options(command):
    return [option for option in command.params if isinstance(option, click.Option)]


def _sections():
    """Return the text about each command, by its words."""
    head = "\n### `"
    parts = PAGE.partition("\n## Exit codes")[0].split(head)[1:]
    return {part.partition("`")[0]: part for part in parts}


SECTIONS = _sections()


def _rows(text):
    """Return the cells of every row of the tables in *text*, but for their heads."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|") and not line.startswith("|---")
    ]
    return [row for row in rows if row[0] not in {"option", "code", "variable"}]


def test_every_command_has_a_section_and_no_other():
    """A new command needs a place to be read about."""
    assert set(COMMANDS) == set(SECTIONS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_row_and_no_other(name):
    """In each of its spellings."""
    documented = [flag for row in _rows(SECTIONS[name]) for flag in FLAG.findall(row[0])]
    assert {flag for option in _options(COMMANDS[name]) for flag in option.opts} == set(documented)
    assert len(documented) == len(set(documented))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_default_is_the_real_one(name):
    """Where an option has a row of its own; what happens without one may be said in words."""
    real = {
        flag: str(option.default)
        for option in _options(COMMANDS[name])
        for flag in option.opts
        if option.show_default
    }
    for row in _rows(SECTIONS[name]):
        flags = FLAG.findall(row[0])
        if flags[0] in real and len(flags) == 1:
            assert f"`{real[flags[0]]}`" == row[1], flags


def test_every_variable_has_a_row_and_no_other():
    """Those of the options, and the one that says which plugins are loaded."""
    named = {row[0].strip("`") for row in _rows(PAGE.partition("\n## Environment")[2])}
    real = {
        variable
        for command in COMMANDS.values()
        for option in _options(command)
        for variable in option.envvar or ()
    }
    assert {*real, ALLOW_VARIABLE} == named


def test_every_exit_code_has_a_row_and_no_other():
    """With the numbers of the code."""
    section = PAGE.partition("\n## Exit codes")[2].partition("\n## ")[0]
    named = {int(row[0]) for row in _rows(section)}
    assert {code for code in vars(exits).values() if isinstance(code, int)} == named


def _steps():
    """Return each command of the examples, with what it shows."""
    steps = []
    for block in CONSOLE.findall(PAGE):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
    return steps


def _is_shown(wanted, said):
    """Whether *said* is what the page shows, where … stands for anything within a line."""
    pattern = "\n".join(".*".join(map(re.escape, line.split("…"))) for line in wanted)
    return re.fullmatch(pattern, "\n".join(said)) is not None


class Console:
    """Runs the examples as a reader would, one after the other, on a port of their own."""

    def __init__(self, place):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.place = place
        self.status = 0
        self.service = None

    def run(self, line):
        """Return the lines that the command *line* says; the service is left running."""
        if line.split()[:2] == ["telemetry", "run"]:
            return self._start(line)
        done = subprocess.run(
            self._shell(line), **self._how(), stdout=subprocess.PIPE, timeout=30, check=False
        )
        self.status = done.returncode
        return done.stdout.decode().splitlines()

    def _start(self, line):
        path = self.place / "said"
        with path.open("wb") as said:
            self.service = subprocess.Popen(self._shell(line, "exec "), **self._how(), stdout=said)
        deadline = time.monotonic() + _START_S
        while "Ctrl-C" not in path.read_text():
            assert self.service.poll() is None, path.read_text()
            assert time.monotonic() < deadline, "it never answered"
            time.sleep(0.05)
        return path.read_text().splitlines()

    def _shell(self, line, how=""):
        function = f'telemetry() {{ {how}{TELEMETRY} "$@"; }}'
        return ["bash", "-c", f"{function}; (exit {self.status}); {line}"]

    def _how(self):
        env = {name: value for name, value in os.environ.items() if "TELEMETRY_" not in name}
        env["TELEMETRY_PORT"] = str(self.port)
        return {"stderr": subprocess.STDOUT, "cwd": self.place, "env": env}

    def close(self):
        """End the service, if the examples did not."""
        if self.service is not None and self.service.poll() is None:
            self.service.kill()
        if self.service is not None:
            self.service.wait()


@pytest.fixture
def console(tmp_path):
    """A place to run the examples in."""
    one = Console(tmp_path)
    yield one
    one.close()


def test_the_examples_show_what_they_do(console):
    """Each command of the page says what the page says."""
    steps = _steps()
    assert len(steps) > 10
    for line, wanted in steps:
        said = console.run(line)
        assert _is_shown(wanted, said), (line, said)
    assert 0 == console.service.wait(10)
