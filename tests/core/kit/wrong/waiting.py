"""Storages that wait too long, or not long enough."""

import time

from telemetry_core.errors import StorageClosedError
from tests.core.kit.fault import breaks
from tests.core.kit.journal import JournalStorage


@breaks("wait.passed")
class WaitsForTheNextEvent(JournalStorage):
    """Waits also when there is something to return."""

    def wait(self, after, timeout=None):
        return super().wait(max(after, super().wait(0, 0)), timeout)


@breaks("wait.timeout")
class ReturnsTheCursor(JournalStorage):
    """Returns where the caller is when nothing comes."""

    def wait(self, after, timeout=None):
        return max(after, super().wait(after, timeout))


@breaks("wait.empty")
class ReturnsNothingFromNothing(JournalStorage):
    """Has no number while nothing was stored."""

    def wait(self, after, timeout=None):
        return super().wait(after, timeout) or None


@breaks("wait.wakes")
class WakesNobody(JournalStorage):
    """Looks whether there is something when the time is over, and not before."""

    def wait(self, after, timeout=None):
        last = super().wait(0, 0)
        deadline = None if timeout is None else time.monotonic() + timeout
        while last <= after and (deadline is None or time.monotonic() < deadline):
            self.check_writable()
            time.sleep(0.001)
        return super().wait(0, 0)


@breaks("wait.wakes_all")
class WakesOneWaiter(JournalStorage):
    """Lets one of those who wait go when something comes."""

    def __init__(self, path):
        super().__init__(path)
        self.told = {0}

    def wait(self, after, timeout=None):
        last = super().wait(after, timeout)
        while timeout is None and last in self.told:
            self.check_writable()
            time.sleep(0.001)
        self.told.add(last)
        return last


@breaks("wait.stored")
class WakesForEphemeralEvents(JournalStorage):
    """Returns the last seq that was given, also to an event that is not stored."""

    def wait(self, after, timeout=None):
        return max(super().wait(after, timeout), self.current().as_of_seq)


@breaks("wait.close")
class ReturnsWhenItIsClosed(JournalStorage):
    """Answers those who wait as if their time were over."""

    def wait(self, after, timeout=None):
        self.check_writable()
        try:
            return super().wait(after, timeout)
        except StorageClosedError:
            return after


@breaks("wait.close")
class KeepsWaitersWhenItIsClosed(JournalStorage):
    """Does not wake those who wait when it is closed."""

    def wait(self, after, timeout=None):
        try:
            return super().wait(after, timeout)
        except StorageClosedError:
            time.sleep(1)
            raise
