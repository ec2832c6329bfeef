"""`telemetry stop`: end the service."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click

from telemetry_core.cli.exits import CommandError
from telemetry_core.cli.messages import say
from telemetry_http.commands.target import service_options

if TYPE_CHECKING:
    from telemetry_http.client import TelemetryClient

_PATIENCE_S: Final = 10.0
_POLL_S: Final = 0.05


@click.command()
@service_options
def stop(*, host: str, port: int) -> None:
    """Stop the service, and wait for its end."""
    from telemetry_http.client import TelemetryClient

    with TelemetryClient(host, port, timeout=_PATIENCE_S) as client:
        client.shutdown()
        _wait_for_end(client)
    say(f"the service on port {port} stopped")


def _wait_for_end(client: TelemetryClient) -> None:
    from telemetry_http.errors import ServerUnreachableError, TelemetryClientError

    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            client.close()
            client.health()
        except ServerUnreachableError:
            # While it ends it takes connections, and answers none of them.
            if time.monotonic() < deadline:
                return
        except TelemetryClientError:
            pass
        time.sleep(_POLL_S)
    raise CommandError(f"{client.base_url} did not end within {_PATIENCE_S:g} s")
