"""Listening: the socket that the service is reached by, on a port or at a path."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Self

from telemetry_http.errors import AddressInUseError, AddressRefusedError

log = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 4096
BACKLOG: Final = 1024
"""How many may wait to be taken; one more would try again a second later."""

_UNIX_MODE: Final = 0o660


class Listening(socket.socket):
    """
    A socket that takes at most *max_connections* connections at a time.

    One more is closed at once: whoever opens thousands must not take the files that the storage
    needs to be opened.
    """

    max_connections = MAX_CONNECTIONS
    _is_full = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._open: set[_Connection] = set()

    def accept(self) -> tuple[socket.socket, object]:
        """Return the next connection, or raise as if there was none when there are too many."""
        accepted, address = super().accept()
        if len(self._open) >= self.max_connections:
            accepted.close()
            if not self._is_full:
                self._is_full = True
                log.warning("more than %d connections; new ones are closed", len(self._open))
            raise ConnectionAbortedError(errno.ECONNABORTED, "too many connections")
        self._is_full = False
        connection = _Connection(accepted.family, accepted.type, 0, accepted.detach())
        connection.closed = self._open.discard
        self._open.add(connection)
        return connection, address

    def dup(self) -> Self:
        """Return another socket for the same address, with connections of its own."""
        copy = super().dup()
        copy.max_connections = self.max_connections
        return copy

    def hang_up(self) -> None:
        """End every connection, whatever is still to be sent on it."""
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):  # its client was quicker
                connection.shutdown(socket.SHUT_RDWR)


class _Connection(socket.socket):
    """A connection that says when it is closed."""

    closed: Callable[[_Connection], None]

    def close(self) -> None:
        self.closed(self)
        super().close()


def bind(host: str, port: int, *, has_tokens: bool = False) -> Listening:
    """
    Return a socket that listens on *host* and *port*; 0 takes a free one.

    Raises:
        AddressRefusedError: *host* is not loopback, and there are no tokens to ask for.
        AddressInUseError: Something listens there.
        OSError: The address cannot be used.
    """
    family, address = _resolve(host, port, has_tokens=has_tokens)
    listening = Listening(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # hypercorn sets this on sockets of its own only; without it answers wait for each other.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.bind(address)
        _listen(listening)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUseError(host, port) from None
        raise
    return listening


@contextlib.contextmanager
def bind_unix(path: str | os.PathLike[str]) -> Iterator[Listening]:
    """
    Listen at *path* for programs of the same user and group, and remove it in the end.

    What a service that was killed left there is replaced.

    Raises:
        AddressInUseError: Something listens there, or it is no socket.
        OSError: It cannot be made there.
    """
    place = Path(path)
    _check_stale(place)
    listening = Listening(socket.AF_UNIX, socket.SOCK_STREAM)
    with listening:
        # Made beside it and moved there, so that it is never open to more users than meant.
        new = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            listening.bind(os.fspath(new))
            new.chmod(_UNIX_MODE)
            new.rename(place)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        ours = place.lstat().st_ino
        _listen(listening)
        try:
            yield listening
        finally:
            with contextlib.suppress(FileNotFoundError):
                if place.lstat().st_ino == ours:
                    place.unlink()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach *host*."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return all(ipaddress.ip_address(info[4][0]).is_loopback for info in found)


def _listen(listening: Listening) -> None:
    listening.listen(BACKLOG)
    listening.setblocking(False)  # noqa: FBT003  # the socket's own signature


def _resolve(
    host: str, port: int, *, has_tokens: bool
) -> tuple[socket.AddressFamily, tuple[object, ...]]:
    if not has_tokens and not is_loopback(host):
        raise AddressRefusedError(host)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # IPv4 first: that is what most clients of `localhost` try first.
    family, _, _, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    return family, address


def _check_stale(place: Path) -> None:
    """Raise unless *place* is free, or a socket that nobody listens to."""
    try:
        if not stat.S_ISSOCK(place.lstat().st_mode):
            raise AddressInUseError(os.fspath(place))
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.connect(os.fspath(place))
        except ConnectionRefusedError:
            return
    raise AddressInUseError(os.fspath(place))
