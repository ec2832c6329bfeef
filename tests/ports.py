"""Ports that nobody else gets while a test has nobody listening on them."""

import os
import random
import socket

_FIRST, _LAST = 10_000, 32_000
_order = random.Random(os.getpid())


def lasting_port():
    """
    Return a port on which nobody listens, and which the system gives to nobody by itself.

    A port that it gave may be given again as soon as a server is killed: to the client of another
    test, so that the server cannot come back there, or to another test's server, which is then
    asked by clients that wait for the first one.
    """
    while True:
        port = _order.randrange(_FIRST, _LAST)
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue  # somebody has it
            return port
