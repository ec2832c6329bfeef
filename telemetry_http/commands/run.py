"""`telemetry run`: serve a site, and record what collectors read."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from telemetry_core.cli.exits import IN_USE, USAGE, CommandError
from telemetry_core.cli.messages import is_verbose, say
from telemetry_http.commands.target import given_on_command_line, service_options
from telemetry_http.errors import AddressInUseError, AddressRefusedError
from telemetry_http.settings import DEFAULT_SITE_DIR

if TYPE_CHECKING:
    from socket import socket

    from telemetry_core import Plugins
    from telemetry_http.collecting import Read
    from telemetry_http.service import TelemetryService

_SECONDS: Final = click.FloatRange(min=0, min_open=True)


@click.command()
@service_options
@click.option(
    "--site-dir",
    metavar="DIR",
    default=DEFAULT_SITE_DIR,
    envvar=["TELEMETRY_SITE_DIR", "PANOPTES_TELEMETRY_SITE_DIR"],
    show_envvar=True,
    show_default=True,
    help="Directory of the site's NDJSON files.",
)
@click.option("--storage", metavar="URL", help="Record into this storage instead.")
@click.option(
    "--site-type",
    "site_types",
    metavar="TYPE",
    multiple=True,
    help="Keep events of this type in the site stream also during a run (repeatable).",
)
@click.option(
    "--collect",
    "collectors",
    metavar="NAME",
    multiple=True,
    help="Record this collector too, such as `host` (repeatable).",
)
@click.option(
    "--every",
    "every_s",
    type=_SECONDS,
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Time from one reading of a collector to the next.",
)
@click.option("--timezone", metavar="ZONE", help="IANA zone of the site; its noon begins a file.")
@click.option(
    "--durability",
    type=click.Choice(["os", "interval", "always"]),
    help="When lines reach the disk: when the system likes, every second, or before an answer.",
)
@click.option(
    "--heartbeat",
    "heartbeat_s",
    type=_SECONDS,
    metavar="SECONDS",
    help="Say that often that it runs.",
)
@click.option(
    "--startup-timeout",
    "startup_timeout_s",
    type=_SECONDS,
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up if requests are not answered by then.",
)
@click.pass_obj
def run(
    plugins: Plugins,
    *,
    host: str,
    port: int,
    site_dir: str,
    storage: str | None,
    site_types: tuple[str, ...],
    collectors: tuple[str, ...],
    every_s: float,
    timezone: str | None,
    durability: str | None,
    heartbeat_s: float | None,
    startup_timeout_s: float,
) -> None:
    """
    Start the service, and record.

    It ends at SIGTERM, Ctrl-C or `telemetry stop`, with everything recorded on disk. Only this
    machine is served: --host takes loopback addresses.
    """
    from telemetry_http.collecting import open_collector
    from telemetry_http.service import TelemetryService

    begin = time.monotonic()
    if {"site_dir", "storage"} <= given_on_command_line():
        raise click.UsageError("give either --site-dir or --storage, not both")
    place = site_dir if storage is None else storage
    reads = {name: open_collector(plugins, name) for name in collectors}
    given = {"timezone": timezone, "durability": durability}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    with (
        # The port first: one that cannot be had changes nothing. It is let go of last, so that
        # whoever finds it free knows that everything is on disk.
        _bind(host, port) as listening,
        TelemetryService(place, site_types=site_types, plugins=plugins, **options) as service,
    ):
        session = _Session(service, place, reads, every_s=every_s, heartbeat_s=heartbeat_s)
        session.serve(listening, host, begin + startup_timeout_s)
    say("stopped")


class _Session:
    """One life of the service: what happens when it is ready, and what ends with it."""

    def __init__(
        self,
        service: TelemetryService,
        place: str,
        reads: Mapping[str, Read],
        *,
        every_s: float,
        heartbeat_s: float | None,
    ) -> None:
        from telemetry_http.polling import Pollers

        self._service = service
        self._place = place
        self._reads = reads
        self._every_s = every_s
        self._heartbeat_s = heartbeat_s
        self._pollers = Pollers()
        self._too_late = threading.Event()

    def serve(self, listening: socket, host: str, deadline: float) -> None:
        """Serve until somebody ends it, or until it is not ready at the *deadline*."""
        from telemetry_http.server import serve_on

        timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._give_up)
        timer.daemon = True

        def ready(url: str) -> None:
            timer.cancel()
            self._ready(url)

        timer.start()
        try:
            serve_on(listening, self._service, host=host, on_ready=ready, access_log=is_verbose())
        finally:
            timer.cancel()
            self._pollers.stop()
        if self._too_late.is_set():
            raise CommandError("gave up: the service was not ready in time; see --startup-timeout")

    def _ready(self, url: str) -> None:
        if self._too_late.is_set():
            self._service.request_shutdown()
            return
        say(_greeting(url, self._recorded_at(), self._reads, self._every_s))
        for name, read in self._reads.items():
            self._collect(name, read)
        if self._heartbeat_s is not None:
            self._pollers.start("heartbeat", self._heartbeat_s, self._beat)

    def _collect(self, name: str, read: Read) -> None:
        def take_reading() -> None:
            for type_, data in read():
                self._service.recorder.record(type_, data)

        self._pollers.start(f"collector {name!r}", self._every_s, take_reading)

    def _beat(self) -> None:
        from telemetry_core.clock import format_ts, system_clock

        recorder = self._service.recorder
        current, active = recorder.current(), recorder.active_run()
        say(
            f"{format_ts(system_clock())} running: last seq {current.as_of_seq},"
            f" {len(current)} types, {f'run {active.run_id}' if active else 'no run'}"
        )

    def _give_up(self) -> None:
        self._too_late.set()
        self._service.request_shutdown()

    def _recorded_at(self) -> str:
        return str(getattr(self._service.recorder.storage, "site_dir", self._place))


def _bind(host: str, port: int) -> socket:
    from telemetry_http.server import bind

    try:
        return bind(host, port)
    except AddressRefusedError as error:
        raise CommandError(str(error), USAGE) from error
    except AddressInUseError as error:
        raise CommandError(str(error), IN_USE) from error
    except OSError as error:
        raise CommandError(f"cannot listen on port {port} of {host!r}: {error}") from error


def _greeting(url: str, place: str, collectors: Iterable[str], every_s: float) -> str:
    names = ", ".join(collectors)
    lines = [
        f"listening on  {url}",
        f"recording to  {place}",
        f"collecting    {names} every {every_s:g} s" if names else "collecting    nothing",
        f"try           curl {url}/current",
        "Ctrl-C ends it",
    ]
    return "\n".join(lines)
