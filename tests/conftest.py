"""What every test may count on."""

import signal

import pytest
from hypothesis import settings

# No test asserts a time: on a machine with much to do an example may take any.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True, scope="session")
def _interruptible():
    """A suite that was started in the background ignores Ctrl-C, and so would what it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
