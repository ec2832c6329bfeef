"""`telemetry run`: serve a site, and record what collectors read."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from telemetry_core import TelemetryError
from telemetry_core.cli.exits import USAGE, CommandError, exit_code_of
from telemetry_core.cli.messages import is_verbose, say
from telemetry_http.commands.door import Door, door_options
from telemetry_http.commands.target import given_on_command_line
from telemetry_http.settings import DEFAULT_SITE_DIR

if TYPE_CHECKING:
    from telemetry_core import Plugins
    from telemetry_http.collecting import Read
    from telemetry_http.listening import Listening
    from telemetry_http.replicas import Ready
    from telemetry_http.service import TelemetryService

log = logging.getLogger(__name__)

_PASSWORD: Final = re.compile(r"(?<=//)[^/@]*@")
"""Who connects to a server, and maybe by which password: nobody else's business."""

_SECONDS: Final = click.FloatRange(min=0, min_open=True)


@click.command()
@door_options
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
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Serve by so many processes, on a storage that several may write.",
)
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
@click.option(
    "--storage-timeout",
    "storage_timeout_s",
    type=_SECONDS,
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Answer 503 to a request that waits longer for the storage.",
)
@click.option(
    "--max-types",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    help="Refuse events of yet another type beyond so many.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="What goes to stderr: lines to read, or a JSON object a line.",
)
@click.option("--access-log", is_flag=True, help="Write a line for each request; also --verbose.")
@click.pass_obj
def run(
    plugins: Plugins,
    door: Door,
    /,
    *,
    site_dir: str,
    storage: str | None,
    workers: int,
    site_types: tuple[str, ...],
    collectors: tuple[str, ...],
    every_s: float,
    timezone: str | None,
    durability: str | None,
    heartbeat_s: float | None,
    startup_timeout_s: float,
    log_format: str,
    access_log: bool,
    **limits: Any,
) -> None:
    """
    Start the service, and record.

    It ends at SIGTERM, Ctrl-C or `telemetry stop`, with everything recorded on disk. This machine
    is served to everybody on it; other machines need a --host and a token, which stands in
    TELEMETRY_TOKEN or in a --token-file.
    """
    from telemetry_http.collecting import open_collector
    from telemetry_http.service import TelemetryService

    if {"site_dir", "storage"} <= given_on_command_line():
        raise click.UsageError("give either --site-dir or --storage, not both")
    place = site_dir if storage is None else storage
    reads = {name: open_collector(plugins, name) for name in collectors}
    given = {"timezone": timezone, "durability": durability}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    voice = _Voice(is_json=log_format == "json", access_log=access_log or is_verbose())
    if door.access.any_address and door.tls is None:
        voice.say("tokens and data travel readable by all in between; see --certificate and --key")

    def greet(url: str, where: str) -> None:
        greeting = _greeting(url, where, reads, every_s)
        voice.say(greeting, url=url, place=where, collectors=list(reads))

    def serve(number: int, on_ready: Ready) -> None:
        deadline = time.monotonic() + startup_timeout_s
        with TelemetryService(
            place, site_types=site_types, plugins=plugins, **limits, **options
        ) as service:
            # One of several is enough to read what is to be collected, and to say that it runs.
            mine = _Session(
                service,
                place,
                reads if number == 0 else {},
                voice,
                every_s=every_s,
                heartbeat_s=heartbeat_s if number == 0 else None,
                on_ready=on_ready,
            )
            mine.serve(door, listening, deadline)

    # The port first: one that cannot be had changes nothing. It is let go of last, so that whoever
    # finds it free knows that everything is on disk.
    with door.open() as listening:
        if workers == 1:
            serve(0, greet)
        else:
            _check_shared(plugins, place, options)
            _serve_by_replicas(workers, serve, greet)
    voice.say("stopped")


def _check_shared(plugins: Plugins, place: str, options: Mapping[str, Any]) -> None:
    """Raise unless several processes may write what is at *place* at the same time."""
    with plugins.open_storage(place, options) as storage:
        if not storage.capabilities.shared_writers:
            kind = type(storage).__name__
            raise CommandError(
                f"--workers needs a storage that several processes may write at once, and {kind}"
                " has one writer; give --storage postgresql://…, or leave --workers out",
                USAGE,
            )


def _serve_by_replicas(count: int, serve: Callable[[int, Ready], None], on_ready: Ready) -> None:
    from telemetry_http.replicas import Replicas

    def exit_code(number: int, ready: Ready) -> int:
        try:
            serve(number, ready)
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except (TelemetryError, OSError) as error:
            say(f"Error: {error}")
            return exit_code_of(error)
        return 0

    code = Replicas(count, exit_code, on_ready).run()
    if code:
        raise CommandError("a worker could not start, so none serves", code)


class _Voice:
    """How the service speaks on stderr: in lines, or in JSON where everything is."""

    def __init__(self, *, is_json: bool, access_log: bool) -> None:
        from telemetry_http import logs

        self._is_json = is_json
        self.access_log = access_log
        if is_json:
            logs.write_json()
        elif access_log:
            logs.write_access_text()

    def say(self, message: str, **facts: Any) -> None:
        """Tell the user *message*, and programs the *facts* too."""
        if self._is_json:
            first, _, _ = message.partition("\n")
            log.info(" ".join(first.split()), extra=facts)
        else:
            say(message)


class _Session:
    """One life of the service: what happens when it is ready, and what ends with it."""

    def __init__(
        self,
        service: TelemetryService,
        place: str,
        reads: Mapping[str, Read],
        voice: _Voice,
        *,
        every_s: float,
        heartbeat_s: float | None,
        on_ready: Ready,
    ) -> None:
        from telemetry_http.polling import Pollers

        self._service = service
        self._place = place
        self._reads = reads
        self._voice = voice
        self._every_s = every_s
        self._heartbeat_s = heartbeat_s
        self._on_ready = on_ready
        self._pollers = Pollers()
        self._too_late = threading.Event()

    def serve(self, door: Door, listening: Listening, deadline: float) -> None:
        """Serve until somebody ends it, or until it is not ready at the *deadline*."""
        from telemetry_http.server import serve_on

        timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._give_up)
        timer.daemon = True

        def ready(url: str) -> None:
            timer.cancel()
            self._ready(url)

        timer.start()
        try:
            serve_on(
                listening,
                self._service,
                host=door.unix or door.host,
                access=door.access,
                tls=door.tls,
                on_ready=ready,
                access_log=self._voice.access_log,
                idle_s=door.idle_s,
            )
        finally:
            timer.cancel()
            self._pollers.stop()
        if self._too_late.is_set():
            raise CommandError("gave up: the service was not ready in time; see --startup-timeout")

    def _ready(self, url: str) -> None:
        if self._too_late.is_set():
            self._service.request_shutdown()
            return
        self._on_ready(url, self._recorded_at())
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
        self._voice.say(
            f"{format_ts(system_clock())} running: last seq {current.as_of_seq},"
            f" {len(current)} types, {f'run {active.run_id}' if active else 'no run'}"
        )

    def _give_up(self) -> None:
        self._too_late.set()
        self._service.request_shutdown()

    def _recorded_at(self) -> str:
        site_dir = getattr(self._service.recorder.storage, "site_dir", None)
        return str(site_dir or _PASSWORD.sub("", self._place))


def _greeting(url: str, place: str, collectors: Iterable[str], every_s: float) -> str:
    names = ", ".join(collectors)
    lines = [
        f"listening on  {url}",
        f"recording to  {place}",
        f"collecting    {names} every {every_s:g} s" if names else "collecting    nothing",
        f"try           {_curl(url)}",
        "Ctrl-C ends it",
    ]
    return "\n".join(lines)


def _curl(url: str) -> str:
    """Return a line that can be pasted into a shell to see what is current."""
    if url.startswith("unix:"):
        return f"curl --unix-socket {url.removeprefix('unix:')} http://localhost/current"
    return f"curl {url}/current"
