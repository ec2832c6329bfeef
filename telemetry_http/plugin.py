"""Our own plugin: commands, routes, a storage. Light to import: every `telemetry` command pays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click
    from starlette.routing import BaseRoute

    from telemetry_core import StorageType


@hookimpl
def telemetry_register_storage() -> StorageType:
    """Sign up `http:`, to read from a running service."""
    from telemetry_http.remote_storage import service_storage

    return service_storage("http")


@hookimpl
def telemetry_register_commands(cli: click.Group) -> None:
    """Add the commands that run the service and talk to it, or to a storage without one."""
    from telemetry_http.commands.collect import collect
    from telemetry_http.commands.current import current
    from telemetry_http.commands.history import follow, history
    from telemetry_http.commands.record import record
    from telemetry_http.commands.run import run
    from telemetry_http.commands.runs import runs
    from telemetry_http.commands.serve_unit import serve_unit
    from telemetry_http.commands.stop import stop

    for command in (run, stop, current, record, history, follow, runs, collect, serve_unit):
        cli.add_command(command)


@hookimpl(optionalhook=True)
def telemetry_register_routes() -> Sequence[BaseRoute]:
    """Add the routes by which the service tells about itself."""
    from telemetry_http.operations import HTML, TEXT, DescribedRoute, Operation
    from telemetry_http.routes import description, metrics

    return (
        DescribedRoute("GET", "/metrics", metrics.get_metrics, Operation(answers=TEXT)),
        DescribedRoute("GET", "/openapi.json", description.get_openapi, Operation()),
        DescribedRoute("GET", "/docs", description.get_docs, Operation(answers=HTML)),
    )
