"""Serving: the only module that knows hypercorn."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
import socket
from collections.abc import Callable
from functools import partial

from hypercorn.asyncio import serve
from hypercorn.config import Config, Sockets
from starlette.types import ASGIApp

from telemetry_http.app import create_app
from telemetry_http.errors import AddressInUseError, AddressRefusedError
from telemetry_http.service import TelemetryService

log = logging.getLogger(__name__)

_GRACE_S = 2.0
_DEADLINE_S = 4.0


def run_service(
    service: TelemetryService,
    *,
    host: str,
    port: int,
    on_ready: Callable[[str], None] | None = None,
    access_log: bool = False,
) -> None:
    """
    Serve *service* until SIGTERM, SIGINT or its `request_shutdown`, and return within 5 s.

    The port is taken before anything else happens; 0 takes a free one. *on_ready* is called with
    the URL once requests are answered. The service is not closed: whoever made it does that.

    Raises:
        AddressRefusedError: *host* is not loopback.
        AddressInUseError: Something listens there.
        OSError: The address cannot be used.
    """
    with bind(host, port) as listening:
        serve_on(listening, service, host=host, on_ready=on_ready, access_log=access_log)


def serve_on(
    listening: socket.socket,
    service: TelemetryService,
    *,
    host: str,
    on_ready: Callable[[str], None] | None = None,
    access_log: bool = False,
) -> None:
    """
    Serve *service* as `run_service` does, on what `bind` returned for *host*, and leave it open.

    The port stays taken until *listening* is closed. Whoever closes it after the service lets
    others see when the service has ended.
    """
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listening.getsockname()[1]}"
    asyncio.run(_serve(service, listening, url, on_ready, access_log=access_log))


def bind(host: str, port: int) -> socket.socket:
    """
    Return a socket that listens on *host* and *port*.

    Raises:
        AddressRefusedError, AddressInUseError, OSError: As for `run_service`.
    """
    family, _, _, _, address = _loopback_address(host, port)
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # hypercorn sets this on sockets of its own only; without it answers wait for each other.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.bind(address)
        listening.listen(100)
        listening.setblocking(False)  # noqa: FBT003  # the socket's own signature
    except OSError as error:
        listening.close()
        if error.errno == 98:  # noqa: PLR2004  # EADDRINUSE
            raise AddressInUseError(host, port) from None
        raise
    return listening


def _loopback_address(host: str, port: int) -> tuple[int, int, int, str, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        raise AddressRefusedError(host) from None
    for one in found:
        if not ipaddress.ip_address(one[4][0]).is_loopback:
            raise AddressRefusedError(host)
    # IPv4 first: that is what most clients of `localhost` try first.
    return min(found, key=lambda info: info[0] != socket.AF_INET)  # type: ignore[return-value]


async def _serve(
    service: TelemetryService,
    listening: socket.socket,
    url: str,
    on_ready: Callable[[str], None] | None,
    *,
    access_log: bool,
) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    service.on_shutdown(partial(loop.call_soon_threadsafe, stopping.set))
    for number in (signal.SIGTERM, signal.SIGINT):
        # The loop calls these between two steps of its own: a second signal cannot interrupt
        # what the first one began.
        loop.add_signal_handler(number, stopping.set)
    config = _config(access_log=access_log)
    # A copy, because hypercorn closes what it listens on when it begins to end.
    copy = listening.dup()
    config.create_sockets = lambda: Sockets([], [copy], [])  # type: ignore[method-assign]
    app: ASGIApp = create_app(service)
    serving = asyncio.create_task(
        serve(app, config, shutdown_trigger=stopping.wait, mode="asgi")  # type: ignore[arg-type]
    )
    if on_ready is not None:
        # The socket listens: whoever connects from now on is answered.
        loop.call_soon(on_ready, url)
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    service.open_ended.end()
    await _end(serving)


async def _end(serving: asyncio.Task[None]) -> None:
    """Wait for the open requests for a while, then end without them."""
    done, _ = await asyncio.wait({serving}, timeout=_DEADLINE_S)
    if not done:
        log.warning("requests were still open after %g s", _DEADLINE_S)
        serving.cancel()
        await asyncio.wait({serving}, timeout=0.5)
    if serving.done() and not serving.cancelled() and serving.exception() is not None:
        raise serving.exception()  # type: ignore[misc]


def _config(*, access_log: bool) -> Config:
    config = Config()
    config.accesslog = _access_logger() if access_log else None
    config.errorlog = None
    config.include_server_header = False
    config.graceful_timeout = _GRACE_S
    config.shutdown_timeout = _GRACE_S
    config.keep_alive_timeout = 75
    return config


def _access_logger() -> logging.Logger:
    """Return what writes a line for each request to stderr; hypercorn's own writes to stdout."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("telemetry_http.access")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return logger
