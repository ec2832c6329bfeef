"""
Leases: a run whose owner is gone ends as `lost`.

The lease of a run is the number `lease_s` in its meta: so many seconds after the last sign of life
of its owner it ends. It is part of the run, so it holds after a restart of the service, too, and
then counts from there.

Where several processes serve one storage, each of them watches, and a sign of life may come to any:
it is recorded as an ephemeral event, which the others look for before they end a run.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from telemetry_core import NoActiveRunError, Recorder, Run
from telemetry_core.clock import NS
from telemetry_core.runs import LOST

log = logging.getLogger(__name__)

LEASE: Final = "lease_s"
SHORTEST_LEASE_S: Final = 1
"""A shorter one would be over before its owner's first heartbeat has come over a network."""
HEARTBEAT: Final = "run.heartbeat"


class Leases:
    """
    Watches over the active run of *recorder*. May be used by several threads.

    *clock* gives nanoseconds that never step, whatever happens to the time of day.
    """

    def __init__(self, recorder: Recorder, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._recorder = recorder
        self._clock = clock
        self._lock = threading.Lock()
        self._run_id: str | None = None
        self._lease_s = 0.0
        self._ends_ns = 0
        self._is_shared = recorder.storage.capabilities.shared_writers
        self._heard_seq = 0
        run = recorder.active_run()
        if run is not None:
            self.run_started(run)

    def run_started(self, run: Run) -> None:
        """Watch over *run* from now on, if it has a lease."""
        lease_s = lease_of(run)
        with self._lock:
            self._run_id = None if lease_s is None else run.run_id
            if lease_s is not None:
                self._lease_s = lease_s
                self._ends_ns = self._clock() + round(lease_s * NS)

    def run_stopped(self, run: Run) -> None:
        """Forget *run*."""
        with self._lock:
            if self._run_id == run.run_id:
                self._run_id = None

    def heartbeat(self, run_id: str) -> float | None:
        """
        Note that the owner of the run is there, and return the seconds it then has again.

        A run without a lease needs no sign of life: it has no end, which is `None`.

        Raises:
            NoActiveRunError: It is not the active run.
        """
        run = self._recorder.active_run()
        if run is None or run.run_id != run_id:
            raise NoActiveRunError(run_id)
        self.run_started(run)
        lease_s = lease_of(run)
        if self._is_shared and lease_s is not None:
            data = {"run_id": run_id}
            beat = self._recorder.record(HEARTBEAT, data, stream="site", store_permanently=False)
            self._heard_seq = beat.seq
        return lease_s

    def check(self) -> None:
        """End the run whose lease is over, if there is one."""
        with self._lock:
            run_id, lease_s = self._run_id, self._lease_s
            if run_id is None or self._clock() < self._ends_ns:
                return
            if self._is_heard_elsewhere(run_id):
                self._ends_ns = self._clock() + round(lease_s * NS)
                return
            reason = f"no sign of life from its owner for {lease_s:g} s"
            log.warning("run %r ends as lost: %s", run_id, reason)
            # Under the lock: a heartbeat comes either before this, or too late.
            self._run_id = None
            try:
                self._recorder.stop_run(run_id, status=LOST, reason=reason)
            except NoActiveRunError:
                return  # somebody stopped it meanwhile
            except BaseException:
                self._run_id = run_id
                raise

    def _is_heard_elsewhere(self, run_id: str) -> bool:
        """Whether another process heard of the owner since this was asked last."""
        # By the number, not the time: the clocks of two machines need not agree.
        beat = self._recorder.current().get(HEARTBEAT) if self._is_shared else None
        if beat is None or beat.seq <= self._heard_seq or beat.data != {"run_id": run_id}:
            return False
        self._heard_seq = beat.seq
        return True


def lease_of(run: Run) -> float | None:
    """Return the lease of *run* in seconds, or `None` if it has none."""
    lease_s = run.meta.get(LEASE)
    is_number = isinstance(lease_s, int | float) and not isinstance(lease_s, bool)
    return float(lease_s) if is_number and lease_s > 0 else None  # type: ignore[operator, arg-type]
