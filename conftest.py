"""Every Python block of a document is a test, so that no document can promise what does not run."""

import os
import re
import subprocess
import sys

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

TELEMETRY = [sys.executable, "-c", "from telemetry_core.cli import main; main()"]


@pytest.fixture(scope="module")
def in_a_new_directory(tmp_path_factory):
    """Run the blocks of one document where they may write what they like."""
    before = os.getcwd()  # noqa: PTH109 - handed back to os.chdir as it is
    os.chdir(tmp_path_factory.mktemp("document"))
    yield
    os.chdir(before)


@pytest.fixture(scope="module")
def beside_a_service(tmp_path_factory):
    """Run a service meanwhile, which the environment says where to find."""
    site_dir = tmp_path_factory.mktemp("service") / "telemetry"
    command = [*TELEMETRY, "run", "--port", "0", "--site-dir", str(site_dir)]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
        pytest.MonkeyPatch.context() as environment,
    ):
        said = process.stderr.readline()
        environment.setenv("TELEMETRY_HOST", "localhost")
        environment.setenv("TELEMETRY_PORT", re.search(r":(\d+)$", said)[1])
        yield
        process.terminate()


def _documents(fixtures, **which):
    return Sybil(parsers=[PythonCodeBlockParser(), SkipParser()], fixtures=fixtures, **which)


WITH_A_SERVICE = "docs/migrating.md"
pytest_collect_file = (
    _documents(["in_a_new_directory"], patterns=["*.md"], excludes=[WITH_A_SERVICE])
    + _documents(["in_a_new_directory", "beside_a_service"], patterns=[WITH_A_SERVICE])
).pytest()
