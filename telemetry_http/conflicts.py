"""Starting a run while another one is active."""

from __future__ import annotations

import contextlib
from typing import Final

from telemetry_core import InvalidRunError, NoActiveRunError, Problem, Run, RunActiveError
from telemetry_core.runs import ABORTED
from telemetry_http.bodies import RunRequest
from telemetry_http.leases import LEASE, SHORTEST_LEASE_S
from telemetry_http.service import TelemetryService

ERROR: Final = "error"
STOP: Final = "stop"
JOIN: Final = "join"
_ANSWERS: Final = (ERROR, STOP, JOIN)
_TRIES: Final = 10


def begin_run(service: TelemetryService, wanted: RunRequest) -> tuple[Run, bool]:
    """
    Return the run that *wanted* asks for, and whether it was started now.

    Raises:
        RunActiveError: Another run is active, and is neither to be stopped nor joined.
        InvalidRunError: It cannot be started so.
        StorageError: The storage did not keep it.
    """
    meta = _checked_meta(wanted)
    recorder = service.recorder
    for tries_left in reversed(range(_TRIES)):
        try:
            return recorder.start_run(wanted.run_id, meta=meta, directory=wanted.run_dir), True
        except RunActiveError as error:
            active = error.run
            if wanted.on_conflict == JOIN and wanted.run_id in (None, active.run_id):
                service.leases.run_started(active)
                return active, False
            if wanted.on_conflict != STOP or not tries_left:
                raise
        with contextlib.suppress(NoActiveRunError):  # it stopped by itself
            recorder.stop_run(active.run_id, status=ABORTED, reason="another run was started")
    raise AssertionError("the last try returns or raises")


def _checked_meta(wanted: RunRequest) -> dict[str, object]:
    if wanted.on_conflict not in _ANSWERS:
        message = f"{wanted.on_conflict!r:.100} is not one of {', '.join(_ANSWERS)}"
        raise InvalidRunError([Problem("$.on_conflict", message)])
    meta = dict(wanted.meta)
    if wanted.lease_s is None:
        return meta
    if not wanted.lease_s >= SHORTEST_LEASE_S:
        message = f"{wanted.lease_s!r} is no lease; give {SHORTEST_LEASE_S} s or more"
        raise InvalidRunError([Problem("$.lease_s", message)])
    return {**meta, LEASE: wanted.lease_s}
