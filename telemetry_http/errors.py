"""
The errors of the service and its client, below the core's `TelemetryError`.

    AddressInUseError       OSError           something listens on that port
    AddressRefusedError     ValueError        an address this version does not serve
    ServerUnreachableError  ConnectionError   no service answers
    TelemetryClientError    RuntimeError      the service answered with an error
"""

from __future__ import annotations

from telemetry_core import TelemetryError


class AddressInUseError(TelemetryError, OSError):
    """Something listens on the host and port already."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        super().__init__(host, port)

    def __str__(self) -> str:
        return (
            f"port {self.port} of {self.host!r} is in use; stop what listens there or take another"
        )


class AddressRefusedError(TelemetryError, ValueError):
    """The address is not loopback, and only loopback is served until there are tokens."""

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(host)

    def __str__(self) -> str:
        return (
            f"{self.host!r} is not a loopback address; use 'localhost' or '127.0.0.1', and reach it"
            " from other machines through a tunnel, until this service knows tokens"
        )


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
