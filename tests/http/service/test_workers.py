"""Calls wait in threads of their own, in bounded time and bounded number."""

import asyncio
import threading

import pytest

from telemetry_core import OutcomeUnknownError, StorageUnavailableError
from telemetry_http import BusyError
from telemetry_http.workers import Workers


def workers(*, threads=2, waiting=2, timeout_s=20.0, changes=True):
    """Return workers, few of them and patient unless told otherwise."""
    return Workers("it", threads=threads, waiting=waiting, timeout_s=timeout_s, changes=changes)


def run(coroutine):
    """Run *coroutine* in a loop of its own, for a bounded time."""
    return asyncio.run(asyncio.wait_for(coroutine, 30))


def raise_(error):
    """Raise *error*, where only an expression may stand."""
    raise error


async def until(condition):
    """Return once *condition* is true, which a thread makes it."""
    while not condition():  # noqa: ASYNC110  # no thread sets an event of the loop
        await asyncio.sleep(0.01)


def test_a_call_gives_what_the_function_gives():
    """Its result, or its error."""
    some = workers()

    async def ask():
        assert 5 == await some.call(lambda: 5)
        with pytest.raises(KeyError):
            await some.call(lambda: raise_(KeyError("a")))
        with pytest.raises(OutcomeUnknownError, match="its own"):
            await some.call(lambda: raise_(OutcomeUnknownError("a", "its own")))
        with pytest.raises(RuntimeError):
            await some.call(lambda: next(iter(())))

    run(ask())


def test_no_more_threads_than_there_may_be():
    """However many call at once, and each of them is served."""
    some = workers(threads=3, waiting=100)
    seen = set()

    def work():
        seen.add(threading.get_ident())
        return 1

    async def ask():
        return await asyncio.gather(*(some.call(work) for _ in range(90)))

    assert [1] * 90 == run(ask())
    assert 1 <= len(seen) <= 3


def test_a_thread_is_used_again():
    """One call after another needs one thread."""
    some = workers(threads=8)
    seen = []

    async def ask():
        for _ in range(5):
            seen.append(await some.call(threading.get_ident))
            await asyncio.sleep(0.05)

    run(ask())
    assert 1 == len(set(seen))


def test_a_call_too_many_is_refused_at_once():
    """What waits is bounded, and what is refused is never called."""
    some = workers(threads=1, waiting=2)
    began, release, called = threading.Event(), threading.Event(), []

    def work():
        began.set()
        release.wait()

    async def ask():
        first = asyncio.create_task(some.call(work))
        await until(began.is_set)
        waiting = [asyncio.create_task(some.call(lambda: called.append(1))) for _ in range(2)]
        await asyncio.sleep(0)
        assert 2 == some.waiting
        with pytest.raises(BusyError, match="2 requests wait"):
            await some.call(lambda: called.append(2))
        release.set()
        await asyncio.gather(first, *waiting)

    run(ask())
    assert [1, 1] == called


@pytest.mark.parametrize(
    ("changes", "error"), [(True, OutcomeUnknownError), (False, StorageUnavailableError)]
)
def test_a_call_that_hangs_is_answered(changes, error):
    """For a change nobody can say whether it was done; what never began was not."""
    some = workers(threads=1, waiting=2, timeout_s=0.2, changes=changes)
    release, called = threading.Event(), []

    async def ask():
        with pytest.raises(error):
            await some.call(lambda: release.wait(20))
        with pytest.raises(BusyError, match="nobody came"):
            await some.call(lambda: called.append(1))
        release.set()
        await until(lambda: not some.waiting)
        return await some.call(lambda: 3)

    assert 3 == run(ask())
    assert [] == called


def test_whoever_gives_up_leaves_nothing_to_do():
    """A request that was cancelled changes nothing later."""
    some = workers(threads=1)
    release, called = threading.Event(), []

    async def ask():
        first = asyncio.create_task(some.call(release.wait))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(some.call(lambda: called.append(1)))
        await asyncio.sleep(0.05)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        release.set()
        await first
        await some.call(lambda: None)

    run(ask())
    assert [] == called


def test_an_answer_after_the_end_of_the_loop_is_nobodys():
    """And no error."""
    some = workers(timeout_s=0.05)
    release = threading.Event()

    async def ask():
        with pytest.raises(OutcomeUnknownError):
            await some.call(lambda: release.wait(20))

    run(ask())
    release.set()


def test_a_call_that_hangs_is_told_until_a_later_one_is_answered():
    """One thread that is lost says nothing of how those are served who come now."""
    some = workers(timeout_s=0.05)
    release = threading.Event()

    async def ask():
        assert some.hangs_s is None
        with pytest.raises(OutcomeUnknownError):
            await some.call(release.wait)
        assert some.hangs_s >= 0.05
        await some.call(lambda: 1)
        await until(lambda: some.hangs_s is None)

    try:
        run(ask())
    finally:
        release.set()


def test_one_after_the_other_needs_one_thread():
    """Each thread that was started keeps memory of its own."""
    some = workers(threads=30)
    seen = set()

    async def ask():
        for _ in range(300):
            seen.add(await some.call(threading.get_ident))

    run(ask())
    assert 1 == len(seen)
