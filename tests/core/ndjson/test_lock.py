"""One writer at a time, any number of readers, and a fork that is neither."""

import os
import subprocess
import sys
import warnings

import pytest

from telemetry_core.errors import (
    StorageClosedError,
    StorageInUseError,
    StorageReadOnlyError,
    StorageUnavailableError,
)
from telemetry_core.testing.samples import data_of, make_run, stored
from tests.core.ndjson.sites import DAY, number, open_site, seqs_in

HOLDER = """
import sys, telemetry_core
with telemetry_core.open(sys.argv[1], timezone="UTC") as recorder:
    recorder.record("weather", 1)
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(site):
    """Start another process that writes into the site directory."""
    command = [sys.executable, "-c", HOLDER, str(site)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"open\n"
        yield process
        process.kill()


def test_a_second_writer_is_refused_with_the_pid_of_the_first(site, holder):
    """The message says whom to stop, and the error has its pid."""
    with pytest.raises(StorageInUseError, match=f"written by process {holder.pid}") as refused:
        open_site(site)
    assert refused.value.pid == holder.pid
    with open_site(site, read_only=True) as reader:
        assert data_of(reader) == [1]


def test_the_lock_ends_with_the_process(site, holder):
    """Also when it was killed: nothing has to be removed by hand."""
    holder.kill()
    holder.wait()
    with open_site(site) as storage:
        number(storage, 2)
        assert data_of(storage) == [1, 2]


def test_a_second_writer_of_this_process_is_refused(site, storage):
    """A lock is not shared within a process."""
    with pytest.raises(StorageInUseError) as refused:
        open_site(site)
    assert refused.value.pid == os.getpid()
    storage.close()
    open_site(site).close()


def test_a_reader_leaves_no_trace(site):
    """It makes no file and no directory, also where there is no `.telemetry`."""
    site.mkdir()
    (site / DAY).write_bytes(
        b'{"seq":1,"ts":"2026-03-18T18:00:00.000Z","type":"a","data":1,"meta":{}}\n'
    )
    with open_site(site, read_only=True) as reader:
        assert data_of(reader) == [1]
        assert data_of(reader, since="2026-03-18T00:00:00Z") == [1]
        assert reader.current()["a"].seq == 1
        assert list(reader.runs()) == []
        assert reader.active_run() is None
        assert reader.wait(0) == 1
        for call in (lambda: number(reader, 2), lambda: reader.start_run(make_run())):
            with pytest.raises(StorageReadOnlyError):
                call()
    assert [path.name for path in site.iterdir()] == [DAY]


def test_a_reader_of_nothing_is_told_so(site):
    """A misspelt directory must not look like an empty one."""
    with pytest.raises(StorageUnavailableError, match="no such directory"):
        open_site(site, read_only=True)


def in_a_fork(work):
    """Return whether *work* returned in a fork of this process."""
    with warnings.catch_warnings():
        # Python warns of threads of this process; the child uses nothing that they may hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_fork_writes_nothing_through_the_handle_of_its_parent(site, storage):
    """In the child it is closed; the parent goes on, and holds the lock still."""
    storage.start_run(make_run())
    number(storage, 1)
    inode = (site / DAY).stat()

    def meddle():
        for call in (lambda: number(storage, 2), lambda: number(storage, 2, run_id="001")):
            with pytest.raises(StorageClosedError):
                call()
        with pytest.raises(StorageClosedError):
            storage.flush()
        storage.close()
        with pytest.raises(StorageInUseError):
            open_site(site)

    assert in_a_fork(meddle)
    number(storage, 3)
    assert data_of(storage) == [1, 3]
    assert (site / DAY).stat().st_ino == inode.st_ino
    with pytest.raises(StorageInUseError):
        open_site(site)


def test_a_fork_may_open_what_its_parent_has_closed(site):
    """The new writer is the child, and its numbers go on."""
    storage = open_site(site)
    number(storage, 1)
    storage.close()

    def write():
        with open_site(site) as mine:
            number(mine, 2)

    assert in_a_fork(write)
    with open_site(site) as again:
        assert data_of(again) == [1, 2]


def test_a_living_fork_keeps_no_lock(site):
    """A worker process that lives on does not keep the site from being opened again."""
    storage = open_site(site)
    number(storage, 1)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    try:
        storage.close()
        with open_site(site) as again:
            assert len(stored(again)) == len(seqs_in(site / DAY)) == 1
    finally:
        os.close(reading)
        os.close(writing)
        os.waitpid(pid, 0)
