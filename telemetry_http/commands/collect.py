"""`telemetry collect`: poll a collector, without running the service."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import click

from telemetry_core.cli.exits import FAILED, INTERRUPTED, CommandError
from telemetry_core.cli.messages import say
from telemetry_core.cli.output import print_json_line
from telemetry_http.commands.target import Place, place_options

if TYPE_CHECKING:
    from types import FrameType


@click.command()
@click.argument("name")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Time from one reading to the next.",
)
@click.option("--count", type=click.IntRange(min=1), help="End after so many readings.")
@click.option("--json", "as_json", is_flag=True, help="Print what was recorded as NDJSON.")
@place_options
def collect(place: Place, *, name: str, every_s: float, count: int | None, as_json: bool) -> None:
    """
    Record readings of a collector.

    It goes on until it is interrupted, or for COUNT readings.

    A reading that fails is named on stderr and the next one tried. `telemetry plugins` lists the
    collectors that are installed.
    """
    from telemetry_core import Draft
    from telemetry_http.collecting import open_collector
    from telemetry_http.polling import poll

    read = open_collector(place.plugins, name)
    stop = threading.Event()
    unread: list[BrokenPipeError] = []

    def end(_: int, __: FrameType | None) -> None:
        stop.set()

    with place.open(read_only=False) as target:
        target.current()  # a service that is not there ends it now, and not at every reading
        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        say(f"collecting {name} every {every_s:g} s")

        def take_reading() -> None:
            for type_, data in read():
                event = target.record(Draft(type_, data))
                if not as_json:
                    continue
                try:
                    print_json_line(event)
                except BrokenPipeError as error:
                    unread.append(error)
                    stop.set()
                    return

        failures = poll(f"collector {name!r}", every_s, take_reading, stop=stop, count=count)
    if unread:
        raise unread[0]
    if count is not None and stop.is_set():
        raise CommandError("interrupted before the last reading", INTERRUPTED)
    if count is not None and failures:
        raise CommandError(f"{failures} of {count} readings failed", FAILED)
