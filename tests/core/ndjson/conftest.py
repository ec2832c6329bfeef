"""A site directory for each test, and a disk that is soon full."""

import os
import subprocess
import sys

import pytest

from tests.core.ndjson.sites import open_site


@pytest.fixture
def site(tmp_path):
    """Return the path of a site directory that is not there yet."""
    return tmp_path / "site"


@pytest.fixture
def storage(site):
    """Open a new site directory."""
    with open_site(site) as one:
        yield one


@pytest.fixture
def tidying_up(monkeypatch):
    """Let Python say nothing of an interrupt that comes while it lets go of something."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)


@pytest.fixture
def small_disk(tmp_path):
    """Return a directory on a disk of its own, which has room for 512 KiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk to fill up")
    path = tmp_path / "disk"
    path.mkdir()
    options = ["-t", "tmpfs", "-o", "size=512k", "tmpfs", str(path)]
    done = subprocess.run(["mount", *options], check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)
