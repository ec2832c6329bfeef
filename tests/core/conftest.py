"""What the tests of the core share: storages that behave as backends may, and a clock to set."""

import threading

import pytest
from attrs import evolve

from telemetry_core import Recorder, Storage
from telemetry_core.memory import MemoryStorage


class GroupedStorage(MemoryStorage):
    """
    A memory storage whose commit is costly: what is waiting is appended in groups.

    A closed `gate` keeps an append or a flush from going on; `arrived` tells that one stands there.
    """

    def __init__(self):
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Semaphore(0)
        self.batches = []
        self.flushes = 0

    @property
    def capabilities(self):
        """Those of the memory storage, and a costly commit."""
        return evolve(super().capabilities, costly_commit=True)

    def append(self, drafts, recorded_ns):
        """Wait at the gate, then keep the batch and remember how large it was."""
        self.arrived.release()
        assert self.gate.wait(20)
        self.batches.append(len(drafts))
        return super().append(drafts, recorded_ns)

    def flush(self):
        """Count it."""
        super().flush()
        self.flushes += 1


class ForgetfulStorage(MemoryStorage):
    """A memory storage that knows only what is in its history, as most backends do."""

    @property
    def capabilities(self):
        """Those of the memory storage, without ephemeral events."""
        return evolve(super().capabilities, keeps_ephemeral=False)

    def current(self):
        """Look through the history."""
        return Storage.current(self)


class SetClock:
    """A clock that stands until it is set."""

    def __init__(self, ns):
        self.ns = ns

    def __call__(self):
        """Return the instant it was set to."""
        return self.ns


@pytest.fixture
def clock():
    """Return a clock that stands at 2026-03-18T00:05:48.955Z."""
    return SetClock(1_773_792_348_955_000_000)


@pytest.fixture
def grouped():
    """Return a storage whose commit is costly."""
    with GroupedStorage() as storage:
        yield storage
        storage.gate.set()


@pytest.fixture
def forgetful():
    """Return a storage that keeps no ephemeral event."""
    with ForgetfulStorage() as storage:
        yield storage


@pytest.fixture(params=[MemoryStorage, GroupedStorage, ForgetfulStorage])
def recorder(request, clock):
    """Return a recorder over each way of committing and of keeping current values."""
    with Recorder(request.param(), clock=clock) as one:
        yield one
