"""The description is true: whatever is asked by it is answered as it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

WRITE = "write-0123456789abcdef"
EXAMPLES = os.environ.get("TELEMETRY_API_EXAMPLES", "40")
"""Of each operation; `make test-api` takes many more."""
EXCLUDED = "positive_data_acceptance,ensure_resource_availability"


@pytest.mark.timeout(3600)
def test_every_answer_is_as_described(serve, tmp_path):
    """
    Schemathesis finds no undocumented status, no answer of another shape, and no 5xx.

    It is not let at the stream, which never ends. It may not find that what fits a schema is
    refused, because a schema cannot say everything: that a number fits into 64 bits, or that a
    text is printable. Nor that a run it started is not active any more: by then another step may
    have stopped it, which it takes for no more than an update.
    """
    tokens = tmp_path / "tokens"
    tokens.write_text(f"write {WRITE}\n")  # with which nobody can stop the service
    tokens.chmod(0o600)
    service = serve("--token-file", tokens)
    command = [
        *(Path(sys.executable).with_name("st"), "run", "--no-color", "--continue-on-failure"),
        *("--max-examples", EXAMPLES, "--exclude-checks", EXCLUDED),
        *("--exclude-path", "/v1/stream"),
        *([] if "TELEMETRY_API_EXAMPLES" in os.environ else ["--seed", "1"]),
        *("--header", f"Authorization: Bearer {WRITE}"),
        f"http://127.0.0.1:{service.port}/openapi.json",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "Traceback" not in service.log
    assert 0 == service.end()
