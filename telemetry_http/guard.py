"""The guard: a page of some web site must not be able to read or drive the service."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from telemetry_http.problems import problem

HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """
    Lets through what was sent to one of *hosts* and, if it changes something, from no other site.

    A foreign `Host` is how a rebound name of a web page would reach loopback; `Origin` and
    `Sec-Fetch-Site` are how a browser says which page a request comes from. Programs send neither.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] = HOSTS) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        if scope["type"] == "http":
            refusal = self._refusal(scope)
            if refusal is not None:
                await problem(*refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        host = origin = site = None
        hosts = 0
        for name, value in scope["headers"]:
            if name == b"host":
                host = value.decode("latin-1")
                hosts += 1
            elif name == b"origin":
                origin = value.decode("latin-1")
            elif name == b"sec-fetch-site":
                site = value.decode("latin-1").lower()
        if hosts != 1 or host is None or _host_of(host) not in self._hosts:
            return 421, f"this service does not answer for the host {host!r:.100}"
        if scope["method"] in _SAFE:
            return None
        if origin is not None and origin.lower() != f"{scope['scheme']}://{host}".lower():
            return 403, f"requests from the origin {origin!r:.100} may change nothing here"
        if site not in (None, "same-origin", "none"):
            return 403, "requests from another site may change nothing here"
        return None


def _host_of(authority: str) -> str | None:
    """Return the host in `name:port` or `[::1]:port` in lower case, or `None` if it is neither."""
    try:
        parts = urlsplit(f"//{authority}")
        valid = parts.port is None or 0 < parts.port < 65536  # noqa: PLR2004
    except ValueError:
        return None
    plain = not (parts.path or parts.query or parts.fragment or "@" in authority)
    return parts.hostname if valid and plain else None
