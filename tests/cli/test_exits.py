"""Which error ends a command with which code."""

import pytest

from telemetry_core import (
    IdConflictError,
    InvalidRunError,
    NoActiveRunError,
    OutcomeUnknownError,
    PluginLoadError,
    Problem,
    RunActiveError,
    SettingsError,
    StorageFullError,
    StorageInUseError,
    StorageReadOnlyError,
    StorageUnavailableError,
    UnknownRunError,
    UnknownStorageError,
    UnsupportedError,
)
from telemetry_core.cli import exits
from telemetry_core.cli.exits import exit_code_of
from telemetry_core.cli.registered import UnknownCollectorError
from telemetry_core.runs import Run
from telemetry_http import ServerUnreachableError

CODES = [
    (StorageFullError("site", "no space"), 1),
    (StorageReadOnlyError("site"), 1),
    (OutcomeUnknownError("site", "gone"), 1),
    (IdConflictError("a", 1), 1),
    (UnsupportedError("site", "replicate"), 1),
    (RunActiveError(Run(run_id="001", started_at="now")), 1),
    (InvalidRunError([Problem("$.run_id", "none")]), 1),
    (PluginLoadError("host", "no psutil"), 1),
    (OSError(28, "No space left on device"), 1),
    (UnknownStorageError("nope", []), 2),
    (UnknownCollectorError("nope", ()), 2),
    (SettingsError([Problem("ndjson", "wrong")]), 2),
    (UnknownRunError("nope"), 3),
    (NoActiveRunError(), 3),
    (ServerUnreachableError("http://localhost:1", "refused"), 4),
    (StorageUnavailableError("site", "no such directory"), 4),
    (ConnectionResetError(), 4),
    (StorageInUseError("site", 1), 5),
]


@pytest.mark.parametrize(("error", "code"), CODES, ids=lambda each: type(each).__name__)
def test_each_kind_of_error_has_its_code(error, code):
    """A script can tell them apart without reading the message."""
    assert code == exit_code_of(error)


def test_the_codes_are_those_of_the_documentation():
    """A number that was given once keeps its meaning."""
    named = {name: code for name, code in vars(exits).items() if isinstance(code, int)}
    assert {
        "OK": 0,
        "FAILED": 1,
        "USAGE": 2,
        "NOT_FOUND": 3,
        "UNREACHABLE": 4,
        "IN_USE": 5,
        "INTERRUPTED": 130,
    } == named
