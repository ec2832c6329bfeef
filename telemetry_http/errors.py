"""
The errors of the service and its client, below the core's `TelemetryError`.

    AddressInUseError       OSError           something listens on that port
    AddressRefusedError     ValueError        an address that is not served without tokens
    TokenError              ValueError        a token, or a file of tokens, that cannot be used
    BusyError               ConnectionError   the storage is slower than the requests
    ServerUnreachableError  ConnectionError   no service answers
    TelemetryClientError    RuntimeError      the service answered with an error
"""

from __future__ import annotations

from telemetry_core import TelemetryError


class AddressInUseError(TelemetryError, OSError):
    """Something listens on the host and port, or at the path that *host* is without a *port*."""

    def __init__(self, host: str, port: int | None = None) -> None:
        self.host = host
        self.port = port
        super().__init__(host, port)

    def __str__(self) -> str:
        place = repr(self.host) if self.port is None else f"port {self.port} of {self.host!r}"
        return f"{place} is in use; stop what listens there or take another"


class AddressRefusedError(TelemetryError, ValueError):
    """The address is not loopback, and nothing else is served without tokens."""

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(host)

    def __str__(self) -> str:
        return (
            f"{self.host!r} is not a loopback address, so whoever reaches it needs a token; set"
            " TELEMETRY_TOKEN or give --token-file, or use 'localhost'"
        )


class TokenError(TelemetryError, ValueError):
    """A token, or a file of them, cannot be used. No message shows a token."""

    def __init__(self, place: str, reason: str) -> None:
        self.place = place
        self.reason = reason
        super().__init__(place, reason)

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


class BusyError(TelemetryError, ConnectionError):
    """The storage answers more slowly than it is asked, or not at all; nothing was done."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return f"the storage is busy: {self.reason}; try again later"


class ServerUnreachableError(TelemetryError, ConnectionError):
    """No service answers at the URL, or it stopped answering."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(url, reason)

    def __str__(self) -> str:
        return f"no answer from {self.url}: {self.reason}; is `telemetry run` started there?"


class TelemetryClientError(TelemetryError, RuntimeError):
    """The service answered with an error: its status code and what it said."""

    def __init__(self, status_code: int, detail: str) -> None:
        self.status_code = status_code
        self.detail = detail
        super().__init__(status_code, detail)

    def __str__(self) -> str:
        return f"{self.status_code}: {self.detail}"
