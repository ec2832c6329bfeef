"""The end of a recorder: closing, failing to close, and a fork of the process."""

import json
import subprocess
import sys
import threading

import pytest

import telemetry_core
from telemetry_core import Draft, Recorder, StorageClosedError, StorageFullError, hookimpl
from telemetry_core.memory import MemoryStorage
from telemetry_core.testing.calls import Call

PATIENCE_S = 20.0


def test_closing_twice_is_fine(recorder):
    """From one thread or from several at once."""
    recorder.record("weather", 1)
    for call in [Call(recorder.close) for _ in range(4)]:
        call.result(PATIENCE_S)
    recorder.close()


def test_nothing_is_written_after_closing(recorder):
    """Each call says that the storage is closed."""
    with recorder:
        recorder.record("weather", 1)
    for act in (
        lambda: recorder.record("weather", 2),
        lambda: recorder.record_many([Draft("weather", 2)]),
        lambda: recorder.record("weather", 2, durable=True),
        recorder.start_run,
        recorder.stop_run,
        recorder.flush,
    ):
        with pytest.raises(StorageClosedError):
            act()


def test_a_block_closes_its_recorder():
    """Also when it raises."""
    with pytest.raises(ZeroDivisionError), telemetry_core.open("memory:") as recorder:
        raise ZeroDivisionError
    with pytest.raises(StorageClosedError):
        recorder.record("weather", 1)


def test_whoever_records_while_it_is_closed_is_told(recorder):
    """Every event is either stored or refused; nobody waits for ever."""
    started = threading.Barrier(4)

    def record():
        started.wait(PATIENCE_S)
        for number in range(100_000):
            try:
                recorder.record("weather", number)
            except StorageClosedError:
                return number
        return None

    calls = [Call(record) for _ in range(3)]
    last = recorder.record("weather", -1).seq
    started.wait(PATIENCE_S)
    for _ in recorder.follow(after=last, limit=20):
        pass
    recorder.close()
    assert sum(call.result(PATIENCE_S) for call in calls) >= 20


class FullStorage(MemoryStorage):
    """Cannot write its end."""

    def close(self):
        """Close, and fail."""
        super().close()
        raise StorageFullError("memory:", "no room")


class GroupedFullStorage(FullStorage):
    """The same behind a writer thread."""

    @property
    def capabilities(self):
        """A costly commit."""
        return telemetry_core.Capabilities(durable=False, costly_commit=True)


@pytest.mark.parametrize("kind", [FullStorage, GroupedFullStorage])
def test_a_storage_that_cannot_close_leaves_nothing_running(kind):
    """The caller is told once; the observers have heard everything, and the threads are gone."""
    heard = []

    class Listener:
        @hookimpl
        def telemetry_event_recorded(self, event):
            heard.append(event.data)

    before = set(threading.enumerate())
    recorder = Recorder(kind(), plugins=telemetry_core.Plugins([Listener()]))
    for number in range(50):
        recorder.record("weather", number)
    with pytest.raises(StorageFullError):
        recorder.close()

    assert list(range(50)) == heard
    assert set() == set(threading.enumerate()) - before
    recorder.close()
    with pytest.raises(StorageClosedError):
        recorder.record("weather", 1)


FORKED = """
import json, os, signal, sys, threading
import telemetry_core
from telemetry_core import Draft, Recorder, StorageClosedError
from telemetry_core.memory import MemoryStorage

class Grouped(MemoryStorage):
    @property
    def capabilities(self):
        return telemetry_core.Capabilities(durable=False, costly_commit=True)

def outcome(call):
    try:
        return repr(call())
    except StorageClosedError:
        return "closed"

place = sys.argv[1]
is_site = place not in ("memory", "grouped")
recorder = telemetry_core.open(place) if is_site else Recorder({
    "memory": MemoryStorage, "grouped": Grouped
}[place]())
recorder.record("weather", 1)
recorder.start_run("001")
follower = recorder.follow()
storage = recorder.storage
holding, release = threading.Event(), threading.Event()

def hold_the_lock():
    holding.set()
    release.wait()
    yield from ()

thread = threading.Thread(target=lambda: is_site or storage.append(hold_the_lock(), 0))
thread.start()
assert is_site or holding.wait(20)
reading, writing = os.pipe()
child = os.fork()
signal.alarm(30)  # neither of them waits for ever
if child == 0:
    with recorder:
        found = {
            "record": outcome(lambda: recorder.record("weather", 3)),
            "record_many": outcome(lambda: recorder.record_many([Draft("weather", 3)])),
            "durable": outcome(lambda: recorder.record("weather", 3, durable=True)),
            "start_run": outcome(recorder.start_run),
            "stop_run": outcome(recorder.stop_run),
            "flush": outcome(recorder.flush),
            "current": outcome(recorder.current),
            "history": outcome(lambda: list(recorder.history())),
            "runs": outcome(lambda: list(recorder.runs())),
            "active_run": outcome(recorder.active_run),
            "follow": outcome(recorder.follow),
            "storage": outcome(recorder.storage.flush),
        }
    recorder.close()
    recorder.storage.close()
    os.write(writing, json.dumps([found, list(follower)]).encode())
    sys.exit()
os.close(writing)
with open(reading, "rb") as pipe:
    found, followed = json.load(pipe)
assert os.waitpid(child, 0)[1] == 0
release.set()
thread.join()
recorder.record("weather", 4)
stopped = recorder.stop_run()
weather = [event.data for event in recorder.history(types="weather")]
recorder.close()
print(json.dumps([found, followed, weather, stopped.status]))
"""


@pytest.mark.parametrize("kind", ["memory", "grouped", "site"])
def test_a_forked_child_leaves_the_recorder_to_its_parent(tmp_path, kind):
    """
    In the child every call says that it is closed, and closing is quiet; the parent goes on.

    No call waits for a lock that a thread of the parent held at the fork.
    """
    place = str(tmp_path / "site") if kind == "site" else kind
    command = [sys.executable, "-W", "ignore", "-c", FORKED, place]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=40)
    assert 0 == done.returncode, done.stderr
    found, followed, weather, status = json.loads(done.stdout)

    assert (dict.fromkeys(found, "closed"), []) == (found, followed)
    assert ([1, 4], "completed") == (weather, status)
