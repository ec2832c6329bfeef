"""What a command loads before it does anything: by names, because times differ from day to day."""

import subprocess
import sys

import pytest

HEAVY = {
    *("anyio", "asyncio", "h11", "httpcore", "httpx", "hypercorn", "numpy", "astropy"),
    *("concurrent", "multiprocessing", "psutil", "psycopg", "rich", "ssl", "starlette"),
}
PROGRAM = """
import sys
from telemetry_core.cli.group import make_cli
try:
    make_cli().main(sys.argv[1:], prog_name="telemetry")
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words", [("--help",), ("--version",), ("current", "--help"), ("plugins",)]
)
def test_help_loads_nothing_heavy(words):
    """`telemetry --help` answers in the time that Python and click take."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stderr.split()}

    assert "click" in loaded
    assert set() == loaded & HEAVY
