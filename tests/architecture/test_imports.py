"""Who imports whom, and what an import costs its caller."""

import subprocess
import sys
from pathlib import Path

import pytest


def loaded_by(module):
    """Return the top-level names of all modules that a fresh `import` of *module* loads."""
    program = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module", ["telemetry_core", "telemetry_migrate", "telemetry_host", "telemetry_postgres"]
)
def test_the_library_loads_no_web_and_no_command_line(module):
    """Whoever embeds the recorder pays for neither the service nor the command."""
    heavy = {"httpx", "hypercorn", "starlette", "click", "rich", "pytest", "hypothesis", "psycopg"}
    assert loaded_by(module) & heavy == set()


def test_the_commands_load_no_web_library():
    """`telemetry --help` starts quickly because a command imports what it needs when it runs."""
    assert loaded_by("telemetry_core.cli") & {"httpx", "hypercorn", "starlette"} == set()


def test_the_contracts_of_the_import_linter_hold(root, tmp_path):
    """The layers of docs/architecture.md are kept."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--cache-dir", tmp_path]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
