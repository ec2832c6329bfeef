"""A process that uses a storage and is killed in the middle of it, without any warning."""

from __future__ import annotations

import json
import os
import select
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from telemetry_core.storage import Storage
from telemetry_core.testing.promise import OpenStorage

Report = Callable[[Any], None]
"""What the killed process calls to say, as a JSON value, what was acknowledged to it."""


def reports_of_killed(
    open_storage: OpenStorage,
    work: Callable[[Storage, Report], None],
    *,
    after: int,
    patience_s: float,
) -> list[Any]:
    """
    Call *work* in a child process, kill that after so many reports, and return all it reported.

    The child is a fork and opens the storage itself, so *open_storage* may be any callable and the
    storage need not outlive a fork.
    """
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork, so no process can be killed half-way")
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python warns of threads of this process; the child uses nothing that they may hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _be_killed(open_storage, work, writing, patience_s)
    os.close(writing)
    try:
        lines = _read_lines(reading, pid, after, time.monotonic() + patience_s)
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    reports = [json.loads(line) for line in lines]
    errors = [one["error"] for one in reports if isinstance(one, dict) and "error" in one]
    if errors:
        pytest.fail(f"the process that was to be killed failed before:\n{errors[0]}")
    if len(reports) < after:
        pytest.fail(f"{len(reports)} of {after} reports came within {patience_s} s")
    return reports


def _be_killed(
    open_storage: OpenStorage,
    work: Callable[[Storage, Report], None],
    writing: int,
    patience_s: float,
) -> NoReturn:
    def report(fact: Any) -> None:
        os.write(writing, json.dumps(fact).encode() + b"\n")

    try:
        # Should the parent die, nobody would end this process.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(2 * patience_s) + 1)
        storage = open_storage()
        work(storage, report)
        while True:
            signal.pause()
    except BaseException:  # noqa: BLE001  # nothing may get back into the parent's test run
        report({"error": traceback.format_exc()})
    finally:
        os._exit(1)


def _read_lines(reading: int, pid: int, after: int, deadline: float) -> list[bytes]:
    """Read whole lines until the other end closes; after so many of them kill *pid*."""
    received = b""
    is_killed = False
    while True:
        left = max(0.0, deadline - time.monotonic())
        if not select.select([reading], [], [], left)[0]:
            break
        block = os.read(reading, 65536)
        if not block:
            break
        received += block
        if not is_killed and received.count(b"\n") >= after:
            is_killed = True
            os.kill(pid, signal.SIGKILL)
    return received.split(b"\n")[:-1]
