"""Run: a bounded session (one night, one target, one experiment) and its states."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, frozen

from telemetry_core.errors import InvalidRunError, Problem

ACTIVE = "active"
COMPLETED = "completed"
FAILED = "failed"
ABORTED = "aborted"
LOST = "lost"
STATUSES = (ACTIVE, COMPLETED, FAILED, ABORTED, LOST)

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@frozen(kw_only=True)
class Run:
    """
    One session: when it began and ended, how, and what the caller says of it.

    Times are RFC 3339 in UTC. `status` is `active` until the run stops, then `completed`,
    `failed`, `aborted`, or `lost` when its owner went away. `directory` is where a storage of
    files keeps the run, relative to the site directory; others only remember it. `events`,
    `first_seq` and `last_seq` count what was stored in the run's stream.
    """

    run_id: str
    started_at: str
    stopped_at: str | None = None
    status: str = ACTIVE
    reason: str | None = None
    meta: Mapping[str, Any] = field(factory=dict)
    directory: str | None = None
    events: int = 0
    first_seq: int | None = None
    last_seq: int | None = None

    @property
    def is_active(self) -> bool:
        """Whether the run was started and not stopped."""
        return self.stopped_at is None

    def stopped(self, at: str, *, status: str = COMPLETED, reason: str | None = None) -> Run:
        """
        Return this run as it is after it stopped at the time *at*.

        Raises:
            InvalidRunError: *status* is none a stopped run can have, or *reason* is no text that
                every storage can keep.
        """
        if status not in STATUSES[1:]:
            message = f"{status!r} is not one of {', '.join(STATUSES[1:])}"
            raise InvalidRunError([Problem("$.status", message)])
        if reason is not None and not _is_keepable(reason):
            message = f"{reason!r:.100} is no reason: text in UTF-8 without NUL is"
            raise InvalidRunError([Problem("$.reason", message)])
        return evolve(self, stopped_at=at, status=status, reason=reason)


def check_run_id(run_id: object) -> str:
    """
    Return *run_id* if every storage can keep a run of that name.

    Raises:
        InvalidRunError: It is not 1-128 of `A-Za-z0-9._-` beginning with a letter or digit, or it
            is a name with a meaning of its own (`site_…`, a device).
    """
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        message = (
            f"{run_id!r:.200} is no run id: 1-128 of A-Z a-z 0-9 . _ - are,"
            " the first one a letter or digit"
        )
        raise InvalidRunError([Problem("$.run_id", message)])
    if run_id.lower().startswith("site_") or _DEVICE.fullmatch(run_id) or run_id.endswith("."):
        message = f"{run_id!r} is reserved; choose a name that is no site file and no device"
        raise InvalidRunError([Problem("$.run_id", message)])
    return run_id


def reason_of(error: BaseException) -> str:
    """Return *error* as a reason that every storage can keep."""
    # The name of a file in an error may be no UTF-8; that must not hide the error.
    text = f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace").decode()
    return text.replace("\0", "\\x00")


def _is_keepable(text: object) -> bool:
    if not isinstance(text, str) or "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def resumed(before: Run | None, run: Run) -> Run:
    """Return *run* as it goes on from a run of its id *before*: first start, counts, meta."""
    if before is None:
        return run
    return evolve(
        before,
        stopped_at=None,
        status=ACTIVE,
        reason=None,
        meta={**before.meta, **run.meta},
        directory=run.directory or before.directory,
    )
