"""What was current at a past moment, found in the history."""

from __future__ import annotations

from telemetry_core import Event, InvalidSelectionError, Problem, Recorder
from telemetry_core.clock import NS, format_ts, parse_ts


def current_at(recorder: Recorder, at: str) -> tuple[str, dict[str, Event]]:
    """
    Return the moment *at* in its canonical form, and the events that were current then, by type.

    That is for each type the last one recorded of those that asked to be current and whose `ts` is
    not after *at*. What is not in the history, being ephemeral or removed, is not found.

    Raises:
        InvalidSelectionError: *at* is no time.
        StorageError: The storage cannot be read.
    """
    try:
        moment, ns = parse_ts(at)
        until = _just_after(ns)
    except ValueError as error:
        raise InvalidSelectionError([Problem("$.at", str(error))]) from None
    found = []
    # The end of a type's history is near, whereas its beginning is not: each is looked for from
    # there. A type that was current once is current still.
    for type_ in recorder.current():
        event = _last_current(recorder, type_, until)
        if event is not None:
            found.append(event)
    return moment, {event.type: event for event in sorted(found, key=lambda one: one.seq)}


def _last_current(recorder: Recorder, type_: str, until: str) -> Event | None:
    count = 1
    while True:
        events = list(recorder.history(types=type_, until=until, last=count))
        for event in reversed(events):
            if event.make_current:
                return event
        if len(events) < count:
            return None
        count *= 4


def _just_after(ns: int) -> str:
    ns += 1
    return f"{format_ts(ns)[:19]}.{ns % NS:09d}Z"
