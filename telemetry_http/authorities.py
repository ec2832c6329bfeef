"""Authorities: what stands in `Host` and `Origin`, read so that two spellings of one are equal."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

from attrs import frozen

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# Ours and not that of `urlsplit`, which takes `[::1]evil.example` for `::1`.
_AUTHORITY: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?")


@frozen
class Authority:
    """A host in its one spelling, and a port or none."""

    host: str
    port: int | None = None

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address, which no name server can lend to a web page."""
        return ":" in self.host or _address(self.host) is not None

    def covers(self, other: Authority) -> bool:
        """Whether *other* is this host, on this port if it has one."""
        return self.host == other.host and self.port in (None, other.port)


@lru_cache(maxsize=256)  # nearly every request says the same
def read_authority(text: str) -> Authority | None:
    """
    Return what *text* (`name:port`, `127.0.0.1`, `[::1]:6562`) means, or `None` if it is none.

    Names are compared without case and without the dot at the end of a whole one, addresses by
    their value.
    """
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    address, name, digits = match.groups()
    port = None if digits is None else int(digits)
    if port is not None and not 0 < port < 65536:  # noqa: PLR2004
        return None
    if address is not None:
        host = _address(address)
        return None if host is None else Authority(host, port)
    name = name.lower().removesuffix(".")
    return Authority(_address(name) or name, port) if name else None


def read_origin(text: str) -> tuple[str, Authority] | None:
    """Return the scheme and the authority of an origin, its port filled in, or `None`."""
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    authority = read_authority(rest) if separator else None
    if authority is None or scheme not in _DEFAULT_PORTS:
        return None
    return scheme, with_port(authority, scheme)


def with_port(authority: Authority, scheme: str) -> Authority:
    """Return *authority* with the port that *scheme* means when none is given."""
    return Authority(authority.host, authority.port or _DEFAULT_PORTS.get(scheme))


def read_host(text: str) -> Authority | None:
    """Return what a user means by *text*: an authority, or an IPv6 address without brackets."""
    bare = _address(text)
    return Authority(bare) if bare is not None and ":" in bare else read_authority(text)


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
