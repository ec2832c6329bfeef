"""Standard input and output that are closed, full, left by their reader or told to be ASCII."""

import re

import pytest


@pytest.fixture
def site(telemetry, tmp_path):
    """A site directory with one event in it, named as the commands in a shell see it."""
    telemetry("record", "снег", '"☃"', "--storage", tmp_path / "site")
    return "site"


def test_a_closed_input_is_told(shell):
    """Without a standard input at all nothing is recorded."""
    done = shell("telemetry record - --storage memory: <&-")
    assert (1, "Error: standard input is closed\n") == (done.code, done.err)


@pytest.mark.parametrize("words", ["current --storage site", "plugins", "--help", "runs --help"])
def test_a_closed_output_is_no_error(shell, site, words):
    """Whoever closed it does not want the data."""
    assert site
    done = shell(f"telemetry {words} >&-")
    assert (0, "") == (done.code, done.err)


def test_a_full_output_is_told(shell, site):
    """Data that could not be written is an error, and no traceback."""
    done = shell(f"telemetry current --storage {site} >/dev/full")
    assert (1, "Error: [Errno 28] No space left on device\n") == (done.code, done.err)


def test_a_reader_that_leaves_ends_it_quietly(shell):
    """`| head -n 1` costs no traceback: only how far it came is said."""
    line = "telemetry record - --json --storage memory: | head -n 1; exit $PIPESTATUS"
    done = shell(line, given='{"type":"a","data":1}\n' * 2000)

    assert 1 == done.code
    assert 1 == done.out.count("\n")
    assert re.fullmatch(r"ended at line \d+: recorded \d+, refused 0\n", done.err)


def test_following_ends_when_its_reader_leaves(shell, site):
    """It does not go on for nobody: the next change ends it."""
    write = f"while telemetry record a 1 --storage {site}; do :; done"
    follow = f"telemetry current --follow --interval 0.05 --storage {site} | head -n 1"
    done = shell(f"{write} & {follow}; code=$PIPESTATUS; kill %1; exit $code")

    assert 1 == done.code
    assert "Traceback" not in done.err


def test_collecting_ends_when_its_reader_leaves(shell):
    """At its next reading, and quietly."""
    line = "telemetry collect host --every 0.05 --json --storage memory: | head -n 1"
    done = shell(f"{line}; exit $PIPESTATUS")

    assert (1, "collecting host every 0.05 s\n") == (done.code, done.err)


@pytest.mark.parametrize("setting", ["PYTHONIOENCODING=ascii", "LC_ALL=C", "LC_ALL=POSIX"])
def test_data_is_utf_8_whatever_the_locale(shell, site, setting):
    """A cron job with an empty environment reads the same bytes as a person."""
    done = shell(f"export {setting}; telemetry current --storage {site}")
    assert ["снег", '"☃"'] == done.rows[0][::3]
