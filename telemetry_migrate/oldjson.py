"""Reading JSON that old programs wrote: NaN becomes null and is counted, the rest is strict."""

from __future__ import annotations

import re
from typing import Any

from telemetry_core.codec import read_json
from telemetry_core.errors import MalformedJSONError

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b', re.DOTALL)
_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|$)|[{}\[\]]', re.DOTALL)


def read_old_json(text: bytes) -> tuple[Any, int]:
    """
    Return the value of *text*, and how many numbers in it became null.

    Raises:
        MalformedJSONError: It is no JSON, even with NaN and Infinity allowed.
        InvalidEventError: It is, but could not be stored and read back as it is.
    """
    try:
        return read_json(text), 0
    except MalformedJSONError:
        nulled = 0

        def keep_strings(token: re.Match[bytes]) -> bytes:
            nonlocal nulled
            if token[0].startswith(b'"'):
                return token[0]
            nulled += 1
            return b"null"

        plain = _TOKEN.sub(keep_strings, text)
        if not nulled:
            raise
    return read_json(plain), nulled


def depth_after(text: bytes) -> int:
    """Return how many brackets of *text* are still open at its end; brackets in strings are not."""
    depth = 0
    for token in _BRACKET.finditer(text):
        if token[0] in b"{[":
            depth += 1
        elif token[0] in b"}]":
            depth -= 1
    return depth
