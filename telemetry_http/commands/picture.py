"""The picture that `telemetry current` shows in a terminal, once or kept up to date."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from attrs import frozen

from telemetry_core.cli.output import json_text, make_table, printable
from telemetry_http.commands.target import Record

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"))
_NARROW: Final = 60
_FRAME_LINES: Final = 5
"""What a table takes besides its rows, and the line that says how many rows are missing."""

Looks = Iterator[tuple[Mapping[str, Record], str | None]]
"""What is current, by type, and why it could not be asked for just now, if so."""


def table(events: Mapping[str, Record]) -> tuple[list[str], list[list[str]]]:
    """Return the columns, and a row for each of *events*, by type."""
    now = datetime.now(UTC)
    rows = [
        [event["type"], _age(event["ts"], now), json_text(event["data"]), str(event["seq"])]
        for _, event in sorted(events.items())
    ]
    return ["type", "age", "data", "seq"], rows


def keep_up_to_date(looks: Looks) -> None:
    """
    Show each of *looks* in place of the one before, until Ctrl-C or SIGTERM.

    It takes the whole terminal for that time, and gives it back with the last look on it.

    Raises:
        ConnectionError: There was nothing to show the first time.
    """
    from rich.console import Console
    from rich.live import Live

    # Ended by whatever signal: nobody should be left without a cursor.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()
    picture = _Picture(*next(looks))
    try:
        with Live(picture, console=console, screen=True, auto_refresh=False) as live:
            for events, trouble in looks:
                picture = _Picture(events, trouble)
                live.update(picture, refresh=True)
    finally:
        console.print(make_table(*table(picture.events)))


@frozen
class _Picture:
    """Fits the terminal: it folds long data where there is room, and else cuts it."""

    events: Mapping[str, Record]
    trouble: str | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        # Above the table, where a terminal that is too small does not cut it off.
        status = Text(*self._status())
        yield status
        lines = options.size.height - len(console.render_lines(status, options))
        columns, rows = table(self.events)
        if options.max_width < _NARROW:
            columns, rows = columns[:-1], [row[:-1] for row in rows]
        whole = make_table(columns, rows)
        if len(console.render_lines(whole, options)) <= lines:
            yield whole
            return
        yield from self._cut(columns, rows, max(0, lines - _FRAME_LINES))

    def _cut(self, columns: list[str], rows: list[list[str]], room: int) -> Iterable[Table | str]:
        """Yield one line for each of the *rows* that has room, and say what is missing."""
        if len(rows) == room + 1:
            room += 1  # the line that says so is as long as the row
        yield make_table(columns, rows[:room], is_cut=True)
        if rows[room:]:
            yield f"and {len(rows) - room} more; a taller terminal shows them"

    def _status(self) -> tuple[str, str]:
        if self.trouble is not None:
            return f"{printable(self.trouble)}; trying again", "bold red"
        if not self.events:
            return "nothing was recorded yet; Ctrl-C ends it", "dim"
        return f"at {datetime.now().astimezone():%H:%M:%S}; Ctrl-C ends it", "dim"


def _age(ts: str, now: datetime) -> str:
    """Return how long ago *ts* was, in the largest unit that fits."""
    seconds = round((now - datetime.fromisoformat(ts)).total_seconds())
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            return f"{int(seconds / size)} {unit}"
    return f"{seconds} s"
