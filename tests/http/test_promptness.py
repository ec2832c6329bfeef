"""Promptness: who calls the storage, after it was quick and after it was slow."""

from telemetry_http.promptness import REST_S, SLOW_S, Promptness


class Clock:
    """A clock that goes on when it is told to."""

    now = 0.0

    def __call__(self):
        """Return the time."""
        return self.now


def test_a_storage_that_does_not_say_so_is_never_called_here():
    """A plugin that says nothing may hang."""
    assert not Promptness(returns_at_once=False).is_given


def test_a_storage_that_was_slow_is_called_elsewhere_for_a_while():
    """Also when it failed; and then it gets another chance."""
    clock = Clock()
    promptness = Promptness(returns_at_once=True, clock=clock)

    def take(seconds):
        clock.now += seconds
        return seconds

    assert promptness.call(lambda: take(SLOW_S)) == SLOW_S
    assert promptness.is_given
    promptness.call(lambda: take(2 * SLOW_S))
    assert not promptness.is_given
    clock.now += REST_S - 0.001
    assert not promptness.is_given
    clock.now += 0.002
    assert promptness.is_given
