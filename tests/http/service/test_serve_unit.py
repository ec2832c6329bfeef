"""The unit that `telemetry serve-unit` prints is one that systemd takes."""

import configparser
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TELEMETRY = Path(sys.executable).with_name("telemetry")


def unit(*options):
    """Return what `telemetry serve-unit` did."""
    command = [TELEMETRY, "serve-unit", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def service_of(*options):
    """Return the section of the service in the unit that is printed."""
    done = unit(*options)
    assert 0 == done.returncode, done.stderr
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str
    parser.read_string(done.stdout)
    return dict(parser["Service"])


def test_it_starts_what_was_asked_for():
    """By the command of this installation, in the directory that systemd keeps for it."""
    words = shlex.split(service_of("--collect", "host", "--port=7000")["ExecStart"])

    assert [str(TELEMETRY), "run", "--collect", "host", "--port=7000"] == words[:-2]
    assert ["--site-dir", "%S/telemetry"] == words[-2:]


def test_it_is_told_how_the_service_is():
    """And starts it again when it fails, or falls silent."""
    service = service_of("--watchdog", "30")

    assert ("notify", "on-failure", "30") == (
        service["Type"],
        service["Restart"],
        service["WatchdogSec"],
    )
    assert "WatchdogSec" not in service_of()


def test_it_may_write_where_it_records_and_nowhere_else():
    """A site directory of one's own is opened, and no other."""
    assert ("strict", "yes", "telemetry") == tuple(
        service_of()[name] for name in ("ProtectSystem", "DynamicUser", "StateDirectory")
    )
    elsewhere = service_of("--user", "obs", "--", "--site-dir", "/data/site")
    assert ("/data/site", "obs") == (elsewhere["ReadWritePaths"], elsewhere["User"])
    assert "%S" not in elsewhere["ExecStart"]


def test_no_word_means_something_to_systemd():
    """Specifiers, variables and quotes are what they are."""
    service = service_of("--site-type", "100% $HOME", "--site-type", 'a "b" \\ c')
    assert '"100%% $$HOME"' in service["ExecStart"]
    assert '"a \\"b\\" \\\\ c"' in service["ExecStart"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bogus"], "--bogus"),
        (["--port", "many"], "--port"),
        (["--site-dir", "relative"], "absolute"),
        (["--user", "a b"], "no name of a user"),
        (["--site-type", "a\nExecStartPre=/bin/sh"], "cannot stand in a unit"),
        (["--token-file", "/etc/tokens"], "needs a --user"),
    ],
)
def test_what_would_not_start_is_refused(options, message):
    """Before a unit is printed."""
    done = unit(*options)
    assert (2, "") == (done.returncode, done.stdout)
    assert message in done.stderr


def test_systemd_takes_it(tmp_path):
    """As its own checker says, where there is one."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze to ask")
    path = tmp_path / "telemetry-test.service"
    options = ["--watchdog", "30", "--user", "root", "--collect", "host", "--site-dir", "/srv/a b%"]
    path.write_text(unit(*options).stdout)
    command = ["systemd-analyze", "verify", "--man=no", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    about_it = [line for line in done.stderr.splitlines() if path.name in line]
    assert (0, []) == (done.returncode, about_it)
