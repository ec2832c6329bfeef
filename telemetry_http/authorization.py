"""Authorization: asking for a token, and for one that permits what is wanted."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from telemetry_http.guard import SAFE
from telemetry_http.problems import problem
from telemetry_http.tokens import Permission, Tokens

OPEN: Final = frozenset({"/health"})
"""What everybody may ask, so that a supervisor needs no token."""

ADMIN: Final = frozenset({"/shutdown"})
_PREFIX: Final = b"bearer "


def needed(method: str, path: str) -> Permission | None:
    """Return what a token must permit for *method* on *path*, `None` if none is needed."""
    if path in OPEN:
        return None
    if path in ADMIN:
        return Permission.ADMIN
    return Permission.READ if method in SAFE else Permission.WRITE


class Authorization:
    """
    Lets through whoever bears one of *tokens* that permits what is wanted.

    A new route needs no word here: reading needs `read`, changing needs `write`.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        if scope["type"] == "http":
            wanted = needed(scope["method"], scope["path"])
            if wanted is not None:
                refusal = self._refusal(scope, wanted)
                if refusal is not None:
                    status, detail, challenge = refusal
                    headers = {"WWW-Authenticate": challenge}
                    await problem(status, detail, headers=headers)(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, wanted: Permission) -> tuple[int, str, str] | None:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        permission = None
        if len(given) == 1 and given[0][: len(_PREFIX)].lower() == _PREFIX:
            permission = self._tokens.permission_of(given[0][len(_PREFIX) :].strip())
        if permission is None:
            # The same answer for no token and a wrong one: it tells nothing to who guesses.
            return 401, "a token is needed: `Authorization: Bearer TOKEN`", "Bearer"
        if permission < wanted:
            name = wanted.name.lower()
            challenge = f'Bearer error="insufficient_scope", scope="{name}"'
            return 403, f"this needs a token for {name!r}", challenge
        return None
