"""Who knows what was acknowledged, and compares it with what is there."""

import threading
import time

import telemetry_core
from telemetry_core import OutcomeUnknownError, StorageReadOnlyError, StorageUnavailableError

PATIENCE_S = 45
_AGAIN_S = 0.05


class Writers:
    """Threads that record, each event with an id, and try again until it is acknowledged."""

    def __init__(self, url, *, recorders, threads):
        self._recorders = [telemetry_core.open(url) for _ in range(recorders)]
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self.acknowledged = {}
        self.unknown = 0
        self._threads = [
            threading.Thread(target=self._write, args=(recorder, f"{n}.{m}"), daemon=True)
            for n, recorder in enumerate(self._recorders)
            for m in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def until_acknowledged(self, count):
        """Return once so many more events were acknowledged."""
        wanted = len(self.acknowledged) + count
        deadline = time.monotonic() + PATIENCE_S
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline, "nothing was acknowledged any more"
            time.sleep(0.01)

    def stop(self):
        """Let each finish the event it is at, and return id and seq of all acknowledged ones."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "a writer hangs"
        return self.acknowledged

    def close(self):
        """Close the recorders."""
        self._stopping.set()
        for recorder in self._recorders:
            recorder.close()

    def _write(self, recorder, name):
        number = 0
        while not self._stopping.is_set():
            number += 1
            event = self._until_acknowledged(recorder, f"{name}.{number}")
            with self._lock:
                self.acknowledged[event.id] = event.seq

    def _until_acknowledged(self, recorder, id_):
        while True:
            try:
                return recorder.record("weather", id_, id=id_)
            except OutcomeUnknownError:
                self.unknown += 1
            except (StorageUnavailableError, StorageReadOnlyError):
                pass
            time.sleep(_AGAIN_S)


class Follower:
    """A thread that follows from the first event on, also through an outage."""

    def __init__(self, url):
        self._recorder = telemetry_core.open(url)
        self.seqs = []
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def until_at(self, seq):
        """Return the seqs followed, once the event *seq* is among them."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.seqs or self.seqs[-1] < seq:
            assert time.monotonic() < deadline, f"the follower stands at {self.seqs[-1:]}"
            time.sleep(0.01)
        return self.seqs

    def close(self):
        """End it."""
        self._recorder.close()
        self._thread.join(PATIENCE_S)

    def _follow(self):
        while True:
            after = self.seqs[-1] if self.seqs else 0
            try:
                for event in self._recorder.follow(after=after):
                    self.seqs.append(event.seq)
            except StorageUnavailableError:
                time.sleep(_AGAIN_S)
            else:
                return


def assert_kept(acknowledged, url):
    """Lost 0, doubled 0, each under the seq that was acknowledged; return all seqs."""
    with telemetry_core.open(url) as recorder:
        events = list(recorder.history())
    kept = {}
    for event in events:
        kept.setdefault(event.id, []).append(event.seq)
    lost = acknowledged.keys() - kept.keys()
    doubled = {id_: seqs for id_, seqs in kept.items() if len(seqs) > 1}
    assert (lost, doubled) == (set(), {})
    moved = {id_ for id_, seq in acknowledged.items() if kept[id_] != [seq]}
    assert moved == set()
    seqs = [event.seq for event in events]
    assert seqs == sorted(set(seqs))
    return seqs
