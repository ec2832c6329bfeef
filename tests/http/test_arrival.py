"""What does not arrive in time is ended, and nothing else is."""

import asyncio

import pytest

from telemetry_http.arrival import Arrival


def test_what_is_there_is_returned():
    """Many times over, also in one event loop after another."""
    arrival = Arrival(0.05)

    async def read():
        return [await arrival.within(asyncio.sleep(0, n)) for n in range(100)]

    for _ in range(3):
        assert [*range(100)] == asyncio.run(read())


def test_what_never_arrives_is_ended():
    """Each of several, and the task goes on."""
    arrival = Arrival(0.05)

    async def read(begin):
        await asyncio.sleep(begin)
        with pytest.raises(TimeoutError):
            await arrival.within(asyncio.sleep(3600))
        await asyncio.sleep(0)
        return asyncio.current_task().cancelling()

    async def main():
        # The last begins when nobody has waited for a while.
        first = await asyncio.gather(read(0), read(0.03))
        return [*first, await read(0.1)]

    assert [0, 0, 0] == asyncio.run(main())


def test_who_is_cancelled_is_not_late():
    """A client that went away, or a service that stops."""
    arrival = Arrival(3600)

    async def main():
        task = asyncio.create_task(arrival.within(asyncio.sleep(3600)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_an_error_goes_on_its_way():
    """It is not ours."""

    async def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(Arrival(1).within(fail()))
