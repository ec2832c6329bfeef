"""Tokens: who may do what, kept as digests so that no message can ever show one."""

from __future__ import annotations

import hmac
import logging
import os
import stat
from collections.abc import Iterable, Mapping
from enum import IntEnum
from hashlib import sha256
from pathlib import Path
from typing import Final

from attrs import frozen

from telemetry_http.errors import TokenError

log = logging.getLogger(__name__)

VARIABLE: Final = "TELEMETRY_TOKEN"
_SHORT: Final = 16


class Permission(IntEnum):
    """What a token lets its bearer do; each takes in those before it."""

    READ = 1
    WRITE = 2
    ADMIN = 3


@frozen
class Tokens:
    """The tokens that are known; when there are none, nobody is asked for one."""

    _known: tuple[tuple[bytes, Permission], ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[Permission, str]]) -> Tokens:
        """Return the tokens in *pairs* of what each permits and the token itself."""
        return cls(tuple((_digest(token.encode()), permission) for permission, token in pairs))

    def __bool__(self) -> bool:
        return bool(self._known)

    def permission_of(self, token: bytes) -> Permission | None:
        """Return the most that *token* permits, in a time that says nothing of the tokens."""
        given = _digest(token)
        found = [perm for known, perm in self._known if hmac.compare_digest(known, given)]
        return max(found, default=None)


NO_TOKENS: Final = Tokens()


def read_tokens(
    path: str | os.PathLike[str] | None = None, environment: Mapping[str, str] = os.environ
) -> Tokens:
    """
    Return the tokens in the file at *path*, and the one in `TELEMETRY_TOKEN`, which may do all.

    Each line of the file is `read`, `write` or `admin`, a space and a token; empty lines and those
    that begin with `#` are passed over. Only its owner may be able to read it.

    Raises:
        TokenError: A token or a line is none, or others can read the file.
        OSError: The file cannot be read.
    """
    pairs = [] if path is None else _read_file(Path(path))
    if environment.get(VARIABLE):
        pairs.append((Permission.ADMIN, _checked(environment[VARIABLE].strip(), VARIABLE)))
    return Tokens.of(pairs)


def _read_file(path: Path) -> list[tuple[Permission, str]]:
    with path.open("rb") as file:
        # Of the open file: another one may be put in its place between two looks at a name.
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise TokenError(str(path), "others can read it; use `chmod 600`")
        text = file.read().decode("utf-8", "replace")
    pairs = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        place = f"{path}, line {number}"
        # The message shows nothing of the line: the token may stand anywhere in it.
        if len(words) != 2 or words[0] not in ("read", "write", "admin"):  # noqa: PLR2004
            raise TokenError(place, "must be `read`, `write` or `admin`, a space and a token")
        pairs.append((Permission[words[0].upper()], _checked(words[1], place)))
    if not pairs:
        raise TokenError(str(path), "holds no token")
    return pairs


def _checked(token: str, place: str) -> str:
    if not (token.isascii() and token.isprintable() and token and " " not in token):
        raise TokenError(place, "the token must be printable ASCII without spaces")
    if len(token) < _SHORT:
        log.warning("the token in %s is short enough to be guessed; use 16 characters", place)
    return token


def _digest(token: bytes) -> bytes:
    # Of one length, whatever was given: comparing two lengths would tell the right one.
    return sha256(token).digest()
