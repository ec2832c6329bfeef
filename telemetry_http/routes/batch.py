"""Batches: recording many events from one body, while it arrives."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from sys import getsizeof
from typing import Final

import attrs
import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from telemetry_core import Event, TelemetryError
from telemetry_core.codec import event_dict
from telemetry_core.intake import Report
from telemetry_http.bodies import EventRequest
from telemetry_http.problems import RequestError, problem, problem_of
from telemetry_http.reports import BatchReport, RejectedLine
from telemetry_http.service import TelemetryService
from telemetry_http.uploads import LONGEST, BrokenBodyError, texts_of

JSON = "application/json"
REJECTED_TOLD: Final = 1000
"""So many rejected lines are named; the others are counted."""

_TOGETHER_BYTES: Final = 1024 * 1024
"""No more waits in memory for a commit that is costly."""


async def post_events(request: Request) -> Response:
    """
    Record the events in the body and answer what became of each.

    What was recorded stays so whatever happens to the rest; an error then carries the report, too.
    """
    service: TelemetryService = request.app.state.service
    tally = _Tally()
    error: TelemetryError | RequestError | None = None
    with service.open_ended.scope() as ending:
        try:
            await _record_all(request, service, tally)
        except BrokenBodyError as broken:
            tally.reject(broken.detail)
        except (TelemetryError, RequestError) as failure:
            error = failure
        except ClientDisconnect:
            error = RequestError(400, "the body was not sent to its end")
    if ending.cancelled_caught:
        error = RequestError(503, "the service stops", {"Connection": "close"})
    report = tally.report()
    if error is not None:
        return problem_of(error, attrs.asdict(report))
    if report.rejected and not report.accepted + report.duplicates:
        first = report.rejected[0]
        detail = f"nothing was recorded; line {first.line}: {first.detail}"
        return problem(422, detail, members=attrs.asdict(report))
    return Response(orjson.dumps(attrs.asdict(report)), media_type=JSON)


async def _record_all(request: Request, service: TelemetryService, tally: _Tally) -> None:
    # A body without a declared length may take for ever, and is recorded as it comes. A storage
    # that returns at once gains nothing by waiting for the rest of the others.
    is_awaited = "content-length" in request.headers and not service.promptness.is_given
    waiting: list[bytes] = []
    waiting_bytes = 0
    async with aclosing(texts_of(request)) as blocks:
        try:
            async for texts in blocks:
                waiting += texts
                waiting_bytes += sum(map(getsizeof, texts))
                if not is_awaited or waiting_bytes > _TOGETHER_BYTES:
                    given, waiting, waiting_bytes = waiting, [], 0
                    await _record(given, service, tally)
        except BrokenBodyError:
            await _record(waiting, service, tally)
            raise
        await _record(waiting, service, tally)


async def _record(texts: list[bytes], service: TelemetryService, tally: _Tally) -> None:
    if not texts:
        return
    report = await service.record_texts(texts)
    tally.add(texts, report)
    if service.has_hooks:
        for event in report.events:
            if not event.is_duplicate:
                service.event_posted(event_dict(event), _request_of(event))


def _request_of(event: Event) -> EventRequest:
    return EventRequest(
        event.type,
        event.data,
        event.make_current,
        event.store_permanently,
        event.meta,
        event.ts,
        id=event.id,
    )


class _Tally:
    """Counts what became of the lines so far."""

    def __init__(self) -> None:
        self._lines = 0
        self._accepted = 0
        self._duplicates = 0
        self._first_seq: int | None = None
        self._last_seq: int | None = None
        self._rejected: list[RejectedLine] = []
        self._rejected_total = 0

    def add(self, texts: Sequence[bytes], report: Report) -> None:
        self._duplicates += report.duplicates
        self._accepted += len(report.events) - report.duplicates
        new: Sequence[Event] = report.events
        if report.duplicates:
            new = [event for event in new if not event.is_duplicate]
        if new:
            self._first_seq = new[0].seq if self._first_seq is None else self._first_seq
            self._last_seq = new[-1].seq
        for one in report.rejected:
            is_cut = len(texts[one.index]) > LONGEST
            detail = f"longer than {LONGEST} bytes" if is_cut else one.detail
            self._count_rejected(self._lines + one.index + 1, detail)
        self._lines += len(texts)

    def reject(self, detail: str) -> None:
        """Count the line that follows as rejected."""
        self._count_rejected(self._lines + 1, detail)

    def report(self) -> BatchReport:
        return BatchReport(
            self._accepted,
            self._duplicates,
            self._first_seq,
            self._last_seq,
            self._rejected,
            self._rejected_total,
        )

    def _count_rejected(self, line: int, detail: str) -> None:
        self._rejected_total += 1
        if len(self._rejected) < REJECTED_TOLD:
            self._rejected.append(RejectedLine(line, detail))
