"""Where a client looks for the service, and what it needs for that."""

import subprocess
import sys

import pytest

from telemetry_http import TelemetryClient


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("TELEMETRY_HOST", "TELEMETRY_PORT"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"PANOPTES_{name}", raising=False)


@pytest.mark.parametrize(
    ("arguments", "url"),
    [
        ({}, "http://localhost:6562"),
        ({"host": "scope.local"}, "http://scope.local:6562"),
        ({"port": 7000}, "http://localhost:7000"),
        ({"port": "7000"}, "http://localhost:7000"),
        ({"host": "::1", "port": 7000}, "http://[::1]:7000"),
        (
            {"base_url": "https://scope.example/telemetry/", "host": "no"},
            "https://scope.example/telemetry",
        ),
    ],
)
def test_the_url_is_made_of_what_was_given(arguments, url):
    """`base_url` wins over host and port, and these over the defaults."""
    assert url == TelemetryClient(**arguments).base_url


@pytest.mark.parametrize("prefix", ["", "PANOPTES_"])
def test_the_environment_says_where_the_service_is(monkeypatch, prefix):
    """Both spellings of the variables are read, and what the program says wins."""
    monkeypatch.setenv(f"{prefix}TELEMETRY_HOST", "scope.local")
    monkeypatch.setenv(f"{prefix}TELEMETRY_PORT", "7001")

    assert TelemetryClient().base_url == "http://scope.local:7001"
    assert TelemetryClient("other", 7002).base_url == "http://other:7002"


@pytest.mark.parametrize(
    "arguments", [{"base_url": "localhost:6562"}, {"base_url": "ftp://x"}, {"port": "http"}]
)
def test_what_is_no_address_is_refused_at_once(arguments):
    """Not at the first reading."""
    with pytest.raises(ValueError, match=r"http"):
        TelemetryClient(**arguments)


def test_httpx_is_loaded_when_it_is_used():
    """A command that only may need a client starts without it."""
    program = (
        "import sys, telemetry_http.client as c; c.TelemetryClient(); print('httpx' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "False\n"
