"""The worker, the shim it runs under, and a directory where trials are quick."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.faults.driver import HERE, Worker

pytest.register_assert_rewrite("tests.faults.oracle")


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """Compile the shim."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    if sys.platform != "linux":
        pytest.skip("the shim is written for Linux")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    options = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(
        [compiler, *options, "-o", str(library), str(HERE / "shim.c"), "-ldl"], check=True
    )
    return library


@pytest.fixture(scope="module")
def faulty_worker(shim):
    """Start a worker whose calls can go wrong."""
    worker = Worker.start(shim)
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def worker():
    """Start a worker as it is."""
    worker = Worker.start()
    yield worker
    worker.close()


@pytest.fixture
def place():
    """
    Make a directory in memory where there is one.

    The system's own memory is all that outlives a killed process, so that a disk would only cost
    time: a thousand trials sync a hundred thousand times.
    """
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)
