"""Serving: the only module that knows hypercorn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any, Final

from attrs import frozen
from hypercorn.asyncio import serve
from hypercorn.config import Config, Sockets
from starlette.types import ASGIApp

from telemetry_http.app import LOCAL, Access, create_app
from telemetry_http.authorities import Authority, read_host
from telemetry_http.guard import LOOPBACK
from telemetry_http.listening import BACKLOG, Listening, bind, is_loopback
from telemetry_http.notify import ALIVE, READY, STOPPING, Notifier
from telemetry_http.service import TelemetryService
from telemetry_http.tokens import NO_TOKENS, Tokens
from telemetry_http.unread import Unread

__all__ = ["TLS", "access_at", "bind", "run_service", "serve_on"]

log = logging.getLogger(__name__)

# How long the ending waits for open requests, then for connections that were ended under them, and
# then for tasks that were cancelled; the storage needs the rest of the promised 5 s.
_GRACE_S: Final = 1.5
_HUNG_UP_S: Final = 0.5
_CANCELLED_S: Final = 0.5
IDLE_S: Final = 10.0
"""How long a connection may be silent between two requests, and a head take to come whole."""

_FILES_OF_OURS: Final = 200
_KEPT_BYTES: Final = 16 * 1024 * 1024


@frozen
class TLS:
    """The files of a certificate, with those that vouch for it, and of its key."""

    certificate: str
    key: str

    def check(self) -> None:
        """
        Return if it can be used.

        Raises:
            OSError: A file cannot be read, or the two do not belong together.
        """
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            self.certificate, self.key
        )


def run_service(
    service: TelemetryService,
    *,
    host: str,
    port: int,
    tokens: Tokens = NO_TOKENS,
    on_ready: Callable[[str], None] | None = None,
    access_log: bool = False,
) -> None:
    """
    Serve *service* until SIGTERM, SIGINT or its `request_shutdown`, and return within 5 s.

    The port is taken before anything else happens; 0 takes a free one. *on_ready* is called with
    the URL once requests are answered. The service is not closed: whoever made it does that.

    Raises:
        AddressRefusedError: *host* is not loopback, and there are no *tokens*.
        AddressInUseError: Something listens there.
        OSError: The address cannot be used.
    """
    access = access_at(host, tokens=tokens)
    with bind(host, port, has_tokens=bool(tokens)) as listening:
        serve_on(
            listening, service, host=host, access=access, on_ready=on_ready, access_log=access_log
        )


def access_at(
    host: str, *, tokens: Tokens, hosts: Iterable[Authority] = (), origins: Iterable[str] = ()
) -> Access:
    """
    Return who may ask a service at *host*, by the names of this machine and those in *hosts*.

    Raises:
        ValueError: *host* can be no host.
    """
    ours = [*LOOPBACK, *hosts]
    is_local = is_loopback(host)
    if not is_local:
        names = {host, socket.gethostname(), socket.getfqdn()}
        ours += [name for name in map(read_host, sorted(names)) if name is not None]
    return Access(
        tokens=tokens, hosts=tuple(ours), any_address=not is_local, origins=tuple(origins)
    )


def serve_on(
    listening: Listening,
    service: TelemetryService,
    *,
    host: str,
    access: Access = LOCAL,
    tls: TLS | None = None,
    on_ready: Callable[[str], None] | None = None,
    access_log: bool = False,
    idle_s: float = IDLE_S,
) -> None:
    """
    Serve *service* as `run_service` does, on what `bind` returned for *host*, and leave it open.

    For a socket of `bind_unix` its path stands in place of the host. A connection on which nothing
    was asked for *idle_s* seconds is closed.

    The port stays taken until *listening* is closed. Whoever closes it after the service lets
    others see when the service has ended.
    """
    _allow_files(listening)
    _keep_freed_memory()
    if access_log:
        logging.getLogger("telemetry_http.access").setLevel(logging.INFO)
    url = _url(listening, host, tls)
    app = Unread(create_app(service, access))
    # A copy, because hypercorn closes what it listens on when it begins to end.
    copy = listening.dup()
    config = _config(copy, tls, idle_s)
    asyncio.run(_serve(app, service, copy, config, partial(_told, on_ready, url)))


def _url(listening: Listening, host: str, tls: TLS | None) -> str:
    if listening.family == socket.AF_UNIX:
        return f"unix:{host}"
    shown = f"[{host}]" if ":" in host else host
    return f"{'http' if tls is None else 'https'}://{shown}:{listening.getsockname()[1]}"


def _allow_files(listening: Listening) -> None:
    """Let the process open as many files as it may, and take no more connections than that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard or hard == resource.RLIM_INFINITY:
        with contextlib.suppress(ValueError, OSError):
            wanted = listening.max_connections + _FILES_OF_OURS
            most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    listening.max_connections = max(10, min(listening.max_connections, soft - _FILES_OF_OURS))


def _keep_freed_memory() -> None:
    """
    Let the allocator keep some megabytes for the next blocks of a stream.

    glibc gives what is larger than the largest block that was ever freed back to the system at
    once, and asking for it anew takes as long as filling it: a quarter of the time of a download.
    """
    bytes(_KEPT_BYTES)


async def _serve(
    app: ASGIApp,
    service: TelemetryService,
    listening: Listening,
    config: Config,
    told: Callable[[], contextlib.AbstractAsyncContextManager[None]],
) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    service.on_shutdown(partial(loop.call_soon_threadsafe, stopping.set))
    for number in (signal.SIGTERM, signal.SIGINT):
        # The loop calls these between two steps of its own: a second signal cannot interrupt
        # what the first one began.
        loop.add_signal_handler(number, stopping.set)
    async with told():
        serving = asyncio.create_task(
            serve(app, config, shutdown_trigger=stopping.wait, mode="asgi")  # type: ignore[arg-type]
        )
        waiting = asyncio.create_task(stopping.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
    service.open_ended.end()
    await _end(serving, listening)


@contextlib.asynccontextmanager
async def _told(on_ready: Callable[[str], None] | None, url: str) -> AsyncIterator[None]:
    """Tell whoever wants to know that requests are answered, and then that no more will be."""
    notifier = Notifier()
    loop = asyncio.get_running_loop()
    if on_ready is not None:
        # The socket listens: whoever connects from now on is answered.
        loop.call_soon(on_ready, url)
    loop.call_soon(notifier.tell, READY)
    alive = asyncio.create_task(_say_alive(notifier))
    try:
        yield
    finally:
        alive.cancel()
        notifier.tell(STOPPING)


async def _say_alive(notifier: Notifier) -> None:
    # From the event loop: when that is stuck, silence is the truth.
    while notifier.every_s is not None:
        notifier.tell(ALIVE)
        await asyncio.sleep(notifier.every_s)


async def _end(serving: asyncio.Task[None], listening: Listening) -> None:
    """Wait for the open requests for a while, then end without them."""
    done, _ = await asyncio.wait({serving}, timeout=_GRACE_S)
    if done:
        serving.result()
        return
    log.warning("requests were still open after %g s", _GRACE_S)
    # Interrupted in its own ending, hypercorn fails in ways of which nobody needs to hear.
    asyncio.get_running_loop().set_exception_handler(_pass_over)
    # Whoever reads nothing would be waited for until there is nothing more to send.
    listening.hang_up()
    done, _ = await asyncio.wait({serving}, timeout=_HUNG_UP_S)
    if not done:
        serving.cancel()
        done, _ = await asyncio.wait({serving}, timeout=_CANCELLED_S)
    if done and not serving.cancelled() and serving.exception() is not None:
        log.debug("the server did not end well", exc_info=serving.exception())


def _pass_over(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log.debug("%s", context["message"], exc_info=context.get("exception"))


def _config(listening: Listening, tls: TLS | None, idle_s: float) -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = None
    config.backlog = BACKLOG
    config.include_server_header = False
    # Longer than ours, so that requests end in one way only.
    config.graceful_timeout = config.shutdown_timeout = 60.0
    # Not its `read_timeout`, which would end a stream that nothing happens on.
    config.keep_alive_timeout = idle_s
    config.ssl_handshake_timeout = idle_s
    if tls is None:
        sockets = Sockets([], [listening], [])
    else:
        config.certfile, config.keyfile = tls.certificate, tls.key
        sockets = Sockets([listening], [], [])
    config.create_sockets = lambda: sockets  # type: ignore[method-assign]
    return config
