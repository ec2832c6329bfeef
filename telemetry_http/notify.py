"""Telling systemd how the service is: sd_notify(3), which is one datagram."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from typing import Final

log = logging.getLogger(__name__)

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"


class Notifier:
    """Says how the service is to whoever the *environment* names, or to nobody."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A name in no directory is written with an @ and begins with a NUL.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.every_s = _watchdog_s(environment) if address else None

    def tell(self, state: str) -> None:
        """Tell *state*; that nobody listens is a line in the log and no more."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as telling:
                # A full queue must not keep requests waiting.
                telling.setblocking(False)  # noqa: FBT003  # the socket's own signature
                telling.connect(self._address)
                telling.send(state.encode())
        except OSError as error:
            log.warning("nobody hears %s: %s", state, error)


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """Return how often to say that it is alive: twice as often as is asked for, or never."""
    asked_us = environment.get("WATCHDOG_USEC", "")
    whom = environment.get("WATCHDOG_PID", "")
    if not asked_us.isdigit() or whom not in ("", str(os.getpid())):
        return None
    return int(asked_us) / 2_000_000
