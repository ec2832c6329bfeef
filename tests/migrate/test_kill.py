"""Killed at any moment and started again, a migration or a copy ends as if it had not been."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from attrs import field, frozen

import telemetry_core
from telemetry_core import Draft
from tests.migrate.conftest import Archive, make_record

PERCENTS = range(1, 100) if os.environ.get("FAULTS") == "long" else (30, 60, 90)
"""`make test-faults` kills at every one percent of the time that a run takes."""

TELEMETRY = Path(sys.executable).with_name("telemetry")
REJECTED = 6


@frozen
class Case:
    """A command, the target before it and after it, and the seconds that it takes."""

    words: tuple[str, ...]
    dest: Path
    before: Path
    after: dict[str, bytes] = field(factory=dict)
    lasts_s: float = 0.0

    def reset(self):
        """Make the target what it was before the command."""
        shutil.rmtree(self.dest, ignore_errors=True)
        shutil.copytree(self.before, self.dest)

    def start(self):
        """Start the command."""
        words = [TELEMETRY, *self.words]
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def finish(self):
        """Run the command to its end."""
        process = self.start()
        said = process.communicate()[1]
        assert process.returncode in (0, REJECTED), said.decode()

    def files(self):
        """Return the files of the target that a reader sees, and what was rejected."""
        found = {path.name: path.read_bytes() for path in self.dest.glob("*.ndjson")}
        for name in ("001/telemetry.ndjson", "001/run.json", ".telemetry/rejected.ndjson"):
            if (self.dest / name).exists():
                found[name] = (self.dest / name).read_bytes()
        return found


def _case(words, dest, before):
    """Run the command once in peace, to see what it does and how long it takes."""
    before.mkdir(exist_ok=True)
    case = Case(words, dest, before)
    case.reset()
    began = time.monotonic()
    case.finish()
    return Case(words, dest, before, case.files(), time.monotonic() - began)


def _fill(archive, first):
    for name in ("power", "weather"):
        days = ((day, number) for day in range(1, 13) for number in range(first, 600, 2))
        archive.add(
            name,
            *(
                make_record(
                    f"{name}-{day}-{number}", f"2026-03-{day:02d}T00:00:00.{number:06d}", "x" * 200
                )
                for day, number in days
            ),
        )
    archive.add("weather", {"no": "date"})


@pytest.fixture(scope="module")
def place():
    """Make a directory in memory where there is one, which outlives a killed process, too."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def migration(place):
    """Many records of some days, into a new directory, by two processes."""
    archive = Archive(place / "migration")
    _fill(archive, 0)
    words = ("--source", archive.source, "--dest", archive.dest, "--jobs", "2")
    return _case(("migrate", *map(str, words)), archive.dest, archive.dest.with_name("before"))


@pytest.fixture(scope="module")
def merge(place):
    """As many again, each between two of those that are there."""
    archive = Archive(place / "merge")
    _fill(archive, 0)
    before = archive.dest.with_name("before")
    archive.migrate()
    shutil.copytree(archive.dest, before)
    _fill(archive, 1)
    words = ("--source", archive.source, "--dest", archive.dest, "--jobs", "2", "--merge")
    return _case(("migrate", *map(str, words)), archive.dest, before)


@pytest.fixture(scope="module")
def site_copy(place):
    """A site with a run."""
    with telemetry_core.open(place / "site") as recorder:
        drafts = [Draft("weather", number) for number in range(20_000)]
        recorder.record_many(drafts)
        with recorder.run("001"):
            recorder.record_many(drafts)
        recorder.record_many(drafts)
    words = ("copy", str(place / "site"), str(place / "copy"))
    return _case(words, place / "copy", place / "before")


@pytest.fixture(params=["migration", "merge", "site_copy"])
def case(request):
    """Each of the commands."""
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("percent", PERCENTS)
def test_killed_and_started_again_it_ends_the_same(case, percent):
    """Each file is an old or a new one after the kill, and all are new after the next time."""
    case.reset()
    before = case.files()
    process = case.start()
    time.sleep(case.lasts_s * percent / 100)
    process.kill()
    process.communicate()
    if case.words[0] == "migrate":
        for name, text in case.files().items():
            assert text in (before.get(name), case.after[name]), name
    case.finish()
    assert case.files() == case.after
    left = {path.name for path in (case.dest / ".telemetry").iterdir()}
    assert "migrating" not in left
