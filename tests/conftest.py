"""What every test may count on."""

import signal

import pytest


@pytest.fixture(autouse=True, scope="session")
def _interruptible():
    """A suite that was started in the background ignores Ctrl-C, and so would what it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
