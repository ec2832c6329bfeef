"""`telemetry record`: one event from the command line, or many from standard input."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click

from telemetry_core.cli.exits import CommandError
from telemetry_core.cli.messages import say
from telemetry_core.cli.output import print_json_line
from telemetry_http.commands.target import Place, RefusedError, Target, place_options

if TYPE_CHECKING:
    from telemetry_core import Draft

_STDIN: Final = "-"
_PIECE: Final = 64 * 1024


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("type_", metavar="TYPE|-")
@click.argument("data", metavar="[JSON]", required=False)
@click.option("--ts", metavar="TIME", help="When it happened (RFC 3339); now if left out.")
@click.option("--stream", type=click.Choice(["site"]), help="Go there also during a run.")
@click.option("--no-current", is_flag=True, help="Do not make it the current value of its type.")
@click.option("--ephemeral", is_flag=True, help="Only make it current; keep it out of history.")
@click.option("--json", "as_json", is_flag=True, help="Print what was recorded as NDJSON.")
@place_options
def record(
    place: Place,
    *,
    type_: str,
    data: str | None,
    as_json: bool,
    **how: Any,
) -> None:
    r"""
    Record one event, or many from stdin.

    \b
    telemetry record weather '{"sky": "clear", "wind_mps": 2.1}'
    telemetry record safe true
    telemetry record note '"text needs quotes of its own"'
    telemetry record - < events.ndjson

    With - each line of standard input is an event: an object with at least "type" and "data"; "ts",
    "meta", "stream", "id", "make_current" and "store_permanently" may be there too, and a "seq" is
    passed over. Bad lines are named on stderr and left out; then the exit code is 1.
    """
    if type_ == _STDIN:
        if data is not None or any(how.values()):
            raise click.UsageError("with - everything about an event stands in its line")
        if sys.stdin is None:  # whoever started us closed it
            raise CommandError("standard input is closed")
        with place.open(read_only=False) as target:
            _record_lines(target, sys.stdin.buffer, as_json=as_json)
        return
    if data is None:
        raise click.UsageError("missing the JSON of the event's data")
    draft = _draft(type_, data, **how)
    with place.open(read_only=False) as target:
        event = target.record(draft)
    if as_json:
        print_json_line(event)
    else:
        say(f"recorded {event['type']!r} as event {event['seq']}")


def _draft(
    type_: str, text: str, *, ts: str | None, stream: str | None, no_current: bool, ephemeral: bool
) -> Draft:
    from telemetry_core import Draft, InvalidEventError, MalformedJSONError
    from telemetry_core.codec import read_json

    try:
        data = read_json(text)
    except (MalformedJSONError, InvalidEventError) as error:
        hint = "a text needs quotes of its own, as in '\"clear\"'"
        raise CommandError(f"{text!r:.100} cannot be recorded: {error}; {hint}") from error
    return Draft(
        type_,
        data,
        ts=ts,
        stream=stream,
        make_current=not no_current,
        store_permanently=not ephemeral,
    )


def _record_lines(target: Target, stdin: BinaryIO, *, as_json: bool) -> None:
    recording = _Recording(target, as_json=as_json)
    try:
        # As much as is there: what trickles in is recorded at once, what pours in as batches.
        rest = b""
        while piece := stdin.read1(_PIECE):  # type: ignore[attr-defined]
            *lines, rest = (rest + piece).split(b"\n")
            recording.take(lines)
        recording.take([rest])
    except BaseException:
        say(f"ended at line {recording.number}: {recording.sum()}")
        raise
    if recording.refused:
        raise CommandError(recording.sum())
    say(f"recorded {recording.recorded}")


class _Recording:
    """Records lines and names those that are refused."""

    def __init__(self, target: Target, *, as_json: bool) -> None:
        self.number = self.recorded = self.refused = 0
        self._target = target
        self._as_json = as_json
        self._read = _line_reader()

    def sum(self) -> str:
        """Return how many there were of both."""
        return f"recorded {self.recorded}, refused {self.refused}"

    def take(self, lines: Iterable[bytes]) -> None:
        """Record *lines*; the blank ones are passed over."""
        drafts: list[Draft] = []
        numbers: list[int] = []
        refusals: list[tuple[int, str]] = []
        for number, line in enumerate(lines, self.number + 1):
            self.number = number
            if not line.strip():
                continue
            try:
                drafts.append(self._read(line))
                numbers.append(number)
            except RefusedError as error:
                refusals.append((number, error.message))
        if self._as_json:
            refusals += self._record_each(drafts, numbers)
        elif drafts:
            recorded, refused = self._target.record_many(drafts)
            self.recorded += recorded
            refusals += [(numbers[place], reason) for place, reason in refused]
        self.refused += len(refusals)
        for number, reason in sorted(refusals):
            say(f"line {number}: {reason}")

    def _record_each(self, drafts: list[Draft], numbers: list[int]) -> list[tuple[int, str]]:
        """Record *drafts* one by one, to print each as it was recorded."""
        refusals = []
        for number, draft in zip(numbers, drafts, strict=True):
            try:
                event = self._target.record(draft)
            except RefusedError as error:
                refusals.append((number, error.message))
            else:
                self.recorded += 1
                print_json_line(event)
        return refusals


def _line_reader() -> Callable[[bytes], Draft]:
    """Return what makes a draft of a line of NDJSON, or raises `RefusedError`."""
    import attrs

    from telemetry_core import Draft, InvalidEventError, MalformedJSONError
    from telemetry_core.codec import make_converter, problems_of, read_json
    from telemetry_http.bodies import EventRequest

    structure = make_converter().structure

    def read(line: bytes) -> Draft:
        try:
            values = read_json(line)
        except (MalformedJSONError, InvalidEventError) as error:
            raise RefusedError(str(error)) from error
        if isinstance(values, dict):
            values.pop("seq", None)
        try:
            request = structure(values, EventRequest)
        except Exception as error:  # cattrs raises groups of whatever went wrong
            reasons = "; ".join(map(str, problems_of(error)))
            raise RefusedError(reasons) from error
        return Draft(**attrs.asdict(request, recurse=False))

    return read
