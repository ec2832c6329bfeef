"""The guard: a page of some web site must not be able to read or drive the service."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from telemetry_http.authorities import Authority, read_authority, read_origin, with_port
from telemetry_http.problems import problem

LOOPBACK: Final = (Authority("localhost"), Authority("127.0.0.1"), Authority("::1"))
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS: Final = frozenset({b"host", b"origin", b"sec-fetch-site"})

Refusal = tuple[int, str]
"""A status and what is wrong."""


class Guard:
    """
    Lets through what was sent to one of *hosts* and, if it changes something, from no other site.

    A foreign `Host` is how a rebound name of a web page would reach loopback; `Origin` and
    `Sec-Fetch-Site` are how a browser says which page a request comes from. Programs send neither.
    With *any_address* every IP address is ours, which a service beyond loopback cannot know; a
    page of one of *origins* may change things. Nothing but HTTP is let through.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Collection[Authority] = LOOPBACK,
        origins: Collection[str] = (),
        *,
        any_address: bool = False,
    ) -> None:
        self._app = app
        self._hosts = tuple(hosts)
        self._origins = frozenset(read_origin(origin) for origin in origins) - {None}
        self._any_address = any_address
        # Nearly every request says the same.
        self._judged = lru_cache(maxsize=256)(self._judge)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        if scope["type"] == "http":
            refusal = self._refusal(scope)
            if refusal is not None:
                await problem(*refusal)(scope, receive, send)
                return
        elif scope["type"] == "websocket":
            # A browser opens one from any page, without asking anybody.
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Refusal | None:
        given = tuple(header for header in scope["headers"] if header[0] in _HEADERS)
        return self._judged(scope["scheme"], scope["method"] in SAFE, given)

    def _judge(
        self,
        scheme: str,
        is_safe: bool,  # noqa: FBT001
        given: tuple[tuple[bytes, bytes], ...],
    ) -> Refusal | None:
        hosts, origins, sites = (
            [value.decode("latin-1") for name, value in given if name == wanted]
            for wanted in (b"host", b"origin", b"sec-fetch-site")
        )
        host = read_authority(hosts[0]) if len(hosts) == 1 else None
        if host is None or not self._is_ours(host):
            return 421, f"this service does not answer for the host {', '.join(hosts)!r:.100}"
        if is_safe:
            return None
        ours = {(scheme, with_port(host, scheme)), *self._origins}
        for origin in origins:
            if read_origin(origin) not in ours:
                return 403, f"requests from the origin {origin!r:.100} may change nothing here"
        # A page that was let in by its origin is on another site, and says so.
        is_known = bool(origins) and bool(self._origins)
        if not is_known and set(map(str.lower, sites)) - {"same-origin", "none"}:
            return 403, "requests from another site may change nothing here"
        return None

    def _is_ours(self, host: Authority) -> bool:
        if self._any_address and host.is_address:
            return True
        return any(ours.covers(host) for ours in self._hosts)
