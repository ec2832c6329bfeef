"""The `telemetry` command itself: help, version, verbosity, and plugins that fail."""

import pytest

import telemetry_core

COMMANDS = [
    "check",
    "collect",
    "copy",
    "current",
    "follow",
    "history",
    "migrate",
    "plugins",
    "postgresql",
    "record",
    "run",
    "runs",
    "serve-unit",
    "stop",
]


def _listed(help_text):
    return [line.split()[0] for line in help_text.partition("\nCommands:\n")[2].splitlines()]


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_every_command(telemetry, flag):
    """Each with a line of its own, on stdout."""
    done = telemetry(flag)

    assert (0, "") == (done.code, done.err)
    assert COMMANDS == _listed(done.out)


def test_without_a_command_help_is_a_usage_error(telemetry):
    """It is shown on stderr, because it is not what a script wanted."""
    done = telemetry()

    assert (2, "") == (done.code, done.out)
    assert COMMANDS == _listed(done.err)


@pytest.mark.parametrize("name", [*COMMANDS, "runs list", "runs show", "runs start", "runs stop"])
def test_each_command_has_help(telemetry, name):
    """It begins with a usage line, and every option says what it does."""
    done = telemetry(*name.split(), "--help")

    assert (0, "") == (done.code, done.err)
    assert done.out.startswith(f"Usage: telemetry {name} ")
    assert "  -h, --help" in done.out


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_is_that_of_the_core(telemetry, flag):
    """After the name of the command."""
    assert f"telemetry {telemetry_core.__version__}\n" == telemetry(flag).out


@pytest.mark.parametrize("words", [("frob",), ("--frob",), ("runs", "frob"), ("current", "--frob")])
def test_an_unknown_word_is_a_usage_error(telemetry, words):
    """It is named, and nothing is done."""
    done = telemetry(*words)

    assert (2, "") == (done.code, done.out)
    assert "frob" in done.err
    assert "--help" in done.err


@pytest.mark.parametrize("words", [("-v", "current"), ("current", "-v"), ("current", "--verbose")])
def test_verbose_shows_the_traceback(whole, words):
    """Before or behind the command; the message stays the last line."""
    done = whole(*words, "--port", 1)

    assert (4, "") == (done.code, done.out)
    assert done.err.startswith("Traceback (most recent call last):\n")
    assert done.err.splitlines()[-1].startswith("Error: no answer from http://localhost:1")


RAISES = """
from telemetry_core import hookimpl
@hookimpl
def telemetry_register_commands(cli):
    raise {error}
"""

ADDS = """
import click
from telemetry_core import hookimpl
@click.command()
def {name}():
    click.echo("hello")
@hookimpl
def telemetry_register_commands(cli):
    cli.add_command({name})
"""


@pytest.mark.parametrize("error", ["RuntimeError('not today')", "SystemExit(3)"])
def test_a_plugin_that_registers_no_commands_costs_only_itself(telemetry, install, error):
    """The others are there, before and behind it in the alphabet; it is named in a warning."""
    install("aaa", ADDS.format(name="aaa"))
    install("bad", RAISES.format(error=error))
    install("zzz", ADDS.format(name="zzz"))
    done = telemetry("--help")

    assert 0 == done.code
    assert {*COMMANDS, "aaa", "zzz"} == set(_listed(done.out))
    assert 1 == done.err.count("\n")
    assert done.err.startswith("telemetry: warning: plugin 'bad' failed in")
    assert "hello\n" == telemetry("zzz").out


@pytest.mark.parametrize(
    "code", ["raise RuntimeError('broken at import')", "import sys; sys.exit(3)", "def broken(:"]
)
def test_a_plugin_that_cannot_be_imported_costs_only_itself(telemetry, install, code):
    """Also one that would end the process."""
    install("bad", code)
    done = telemetry("--help")

    assert (0, COMMANDS) == (done.code, _listed(done.out))
    assert "'bad' cannot be loaded" in done.err


def test_what_a_plugin_says_cannot_steer_the_terminal(telemetry, install):
    """A message is one line, whatever an error carries."""
    install("bad", RAISES.format(error=r"RuntimeError('a\nb\x1b[31m\x9bc')"))
    done = telemetry("--help")

    assert r"RuntimeError: a\nb\x1b[31m\x9bc" in done.err
    assert 1 == done.err.count("\n")


def test_an_error_nobody_expected_in_a_plugins_command_is_its_own(whole, install):
    """A fault in a program is no message for its user: the traceback says where it is."""
    install("bad", ADDS.format(name="bad").replace('click.echo("hello")', "raise KeyError('x')"))
    done = whole("bad")

    assert 1 == done.code
    assert "KeyError: 'x'" in done.err


def test_only_allowed_plugins_add_commands(whole):
    """`TELEMETRY_LOAD_PLUGINS` names them."""
    assert ["check", "copy", "migrate", "plugins"] == _listed(
        whole("-h", TELEMETRY_LOAD_PLUGINS="migrate").out
    )
    assert ["check", "plugins"] == _listed(whole("-h", TELEMETRY_LOAD_PLUGINS="").out)
