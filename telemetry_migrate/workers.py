"""Doing the parts of a migration in several processes, or in this one when it is little."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_GC_THRESHOLD = 100_000
_WORKER = [sys.executable, "-c", "from telemetry_migrate.workers import serve; serve()"]


class MapTasks(Protocol):
    """Calls a function of some module with each task and yields the results in order."""

    def __call__(
        self, work: Callable[[Task], Result], tasks: Sequence[Task], /
    ) -> Iterator[Result]:
        """Yield what *work* returns for each of *tasks*."""


def available_jobs() -> int:
    """Return how many processes can work at once here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


@contextmanager
def workers(jobs: int) -> Iterator[MapTasks]:
    """
    Give what does tasks in *jobs* processes, started now and ended afterwards.

    They are plain children that read tasks from a pipe: they end when this process does, however
    that ends, and a program that calls this needs no guard around its main module. With one job
    everything is done here.

    Raises:
        ChildProcessError: A worker ended before it answered, so its task is not done.
    """
    if jobs <= 1:
        yield map
        return
    started = [
        subprocess.Popen(_WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
        for _ in range(jobs)
    ]
    idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
    for process in started:
        idle.put(process)

    def do(work: Callable[[Any], Any], task: Any) -> Any:
        process = idle.get()
        try:
            return _ask(process, work, task)
        finally:
            idle.put(process)

    def map_tasks(work: Callable[[Any], Any], tasks: Sequence[Any], /) -> Iterator[Any]:
        return pool.map(lambda task: do(work, task), tasks)

    pool = ThreadPoolExecutor(jobs)
    try:
        yield map_tasks
    finally:
        for process in started:
            process.kill()
        pool.shutdown(cancel_futures=True)
        for process in started:
            process.communicate()


def _ask(process: subprocess.Popen[bytes], work: Callable[[Any], Any], task: Any) -> Any:
    to_worker, from_worker = process.stdin, process.stdout
    if to_worker is None or from_worker is None:
        raise ChildProcessError("a worker without pipes")
    try:
        pickle.dump((work, task), to_worker)
        to_worker.flush()
        result, error = pickle.load(from_worker)  # noqa: S301  # written by a child of ours
    except (EOFError, BrokenPipeError, pickle.UnpicklingError):
        raise ChildProcessError("a worker process ended before its work was done") from None
    if error is not None:
        raise error
    return result


def serve() -> None:
    """Do the tasks that come on stdin until it ends: the whole life of a worker."""
    # Ctrl-C goes to all processes of a terminal; the parent says when it is over.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Thousands of records live and die together, without cycles: looking for some takes a third.
    gc.set_threshold(_GC_THRESHOLD)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            work, task = pickle.load(sys.stdin.buffer)  # noqa: S301  # written by our parent
        except EOFError:
            return
        answer: tuple[Any, Exception | None]
        try:
            answer = (work(task), None)
        except Exception as error:  # noqa: BLE001  # it is raised again in the parent
            answer = (None, error)
        pickle.dump(answer, answers)
        answers.flush()
