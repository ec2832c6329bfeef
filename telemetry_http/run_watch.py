"""RunWatch: the runs that start and stop, here or in another process, each told once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from telemetry_core import Recorder, Run, UnknownRunError

Tell = Callable[[Run], object]


class RunWatch:
    """
    Tells who is named by *started* and *stopped*; may be used by several threads.

    What happens in this process is told to it at once; `look` finds what happened elsewhere.
    """

    def __init__(
        self, recorder: Recorder, *, started: Sequence[Tell], stopped: Sequence[Tell]
    ) -> None:
        self._recorder = recorder
        self._tell_started = started
        self._tell_stopped = stopped
        self._lock = threading.Lock()
        self._active = recorder.active_run()

    def run_started(self, run: Run) -> None:
        """Tell that *run* started here, unless it was told before."""
        with self._lock:
            self._started(run)

    def run_stopped(self, run: Run) -> None:
        """Tell that *run* stopped here, unless it was told before."""
        with self._lock:
            self._stopped(run)

    def look(self) -> None:
        """
        Tell what the storage says of the active run, if it is news.

        Raises:
            StorageError: It says nothing.
        """
        with self._lock:
            before, active = self._active, self._recorder.active_run()
            if before is not None and (active is None or active.run_id != before.run_id):
                self._stopped(self._as_it_is(before))
            if active is not None:
                self._started(active)

    def _started(self, run: Run) -> None:
        if self._active is not None and self._active.run_id == run.run_id:
            return
        self._active = run
        for tell in self._tell_started:
            tell(run)

    def _stopped(self, run: Run) -> None:
        if self._active is None or self._active.run_id != run.run_id:
            return
        self._active = None
        for tell in self._tell_stopped:
            tell(run)

    def _as_it_is(self, run: Run) -> Run:
        try:
            return self._recorder.find_run(run.run_id)
        except UnknownRunError:
            return run
