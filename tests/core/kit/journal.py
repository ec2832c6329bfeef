"""A right storage that can do everything, small enough to be broken in many ways."""

import contextlib
import fcntl
import os
import pickle
import threading
import time

from attrs import evolve

from telemetry_core.errors import RunActiveError
from telemetry_core.memory import MemoryStorage
from telemetry_core.storage import EVERYTHING, Capabilities, Storage

_POLL_S = 0.002


class JournalStorage(Storage):
    """
    A memory storage, and a file of the calls that changed it.

    Each call first does what others wrote into the file meanwhile. So what is answered survives a
    kill, and several may be open at one file.
    """

    def __init__(self, path):
        self.path = path
        self.memory = MemoryStorage()
        self._file = path.open("a+b", buffering=0)
        self._seen = 0
        self._lock = threading.Lock()

    @property
    def capabilities(self):
        """Everything that a promise of the kit may need."""
        return Capabilities(
            durable=True, shared_writers=True, keeps_ephemeral=True, replicates=True
        )

    def append(self, drafts, recorded_ns):
        """Append, and write the call down."""
        with self._alone() as memory:
            active = memory.active_run()
            if active is not None and any(draft.assumes_no_run for draft in drafts):
                raise RunActiveError(active)
            # Copies, because what a storage is given it may turn into events.
            answer = memory.append([evolve(draft) for draft in drafts], recorded_ns)
            self._keep("append", list(drafts), recorded_ns)
            return answer

    def start_run(self, run):
        """Start, and write the call down."""
        with self._alone() as memory:
            kept = memory.start_run(run)
            self._keep("start_run", run)
            return kept

    def finish_run(self, run):
        """Finish, and write the call down."""
        with self._alone() as memory:
            kept = memory.finish_run(run)
            self._keep("finish_run", run)
            return kept

    def replicate(self, events):
        """Take them, and write the call down."""
        with self._alone() as memory:
            memory.replicate(events)
            self._keep("replicate", list(events))

    def read(self, selection=EVERYTHING):
        """Read what anybody appended."""
        with self._alone() as memory:
            # The memory storage looks at its list when the first event is asked for.
            events = memory.read(selection)
            first = next(events, None)
        if first is not None:
            yield first
            yield from events

    def current(self):
        """Look at what anybody appended."""
        with self._alone() as memory:
            return memory.current()

    def runs(self):
        """List the runs that anybody started."""
        with self._alone() as memory:
            return memory.runs()

    def wait(self, after, timeout=None):
        """Look again and again: another writer wakes nobody here."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._alone() as memory:
                last = memory.wait(after, 0)
            if last > after or (deadline is not None and time.monotonic() >= deadline):
                return last
            time.sleep(_POLL_S)

    def close(self):
        """Let go of the file."""
        with self._lock:
            self.memory.close()
            self._file.close()

    def write_down(self, name, arguments):
        """Write one call into the file; a kill takes it no more."""
        self._file.write(pickle.dumps((name, arguments)))

    def catch_up(self):
        """Do what others wrote into the file since this was last called."""
        if self._seen == self._size():
            return
        with self.path.open("rb") as file:
            file.seek(self._seen)
            while file.peek(1):
                name, arguments = pickle.load(file)
                getattr(self.memory, name)(*arguments)
            self._seen = file.tell()

    def _keep(self, name, *arguments):
        self.write_down(name, arguments)
        self._seen = self._size()

    @contextlib.contextmanager
    def _alone(self):
        """Keep everybody else out, after having caught up with them."""
        with self._lock:
            self.memory.check_writable()
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                self.catch_up()
                yield self.memory
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _size(self):
        return os.fstat(self._file.fileno()).st_size
