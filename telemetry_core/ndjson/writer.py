"""The one writer of a site directory: numbering, refusing and appending."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from telemetry_core.blocks import BlockEvents
from telemetry_core.clock import next_noon_ns, system_clock
from telemetry_core.errors import (
    IdConflictError,
    NoActiveRunError,
    OutcomeUnknownError,
    StorageError,
)
from telemetry_core.events import Event, make_checked_draft
from telemetry_core.ndjson.lines import LineEncoder, lines_of
from telemetry_core.ndjson.settings import ALWAYS, NdjsonSettings
from telemetry_core.ndjson.site import SITE, Site
from telemetry_core.storage import Selection, duplicate_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemetry_core.blocks import DraftBlock
    from telemetry_core.events import CheckedDraft
    from telemetry_core.ndjson.layout import Layout
    from telemetry_core.ndjson.log import Log
    from telemetry_core.ndjson.reader import Reader
    from telemetry_core.ndjson.runfile import RunFiles

_PIECE = 64 * 1024
_CAREFUL_EVENTS = 256
_CAREFUL_NS = 1_000_000


@frozen
class _Segment:
    """Events of a batch that go to one stream, one after the other, and their lines."""

    stream: str | None
    events: Sequence[Any] = field(factory=list)
    lines: list[bytes] = field(factory=list)


class Writer(Site):
    """
    Appends to an open site directory; its calls come from one thread at a time.

    An append usually takes a short way; every millisecond or 256 events, and after whatever went
    wrong, the next one looks around first: whether the files still stand at their paths, whether
    noon has passed, whether seqs are reserved.
    """

    def __init__(
        self, layout: Layout, settings: NdjsonSettings, run_files: RunFiles, reader: Reader
    ) -> None:
        self.waiters: deque[threading.Event] = deque()
        self._reader = reader
        self._line_of = LineEncoder().line_of
        self._is_always = settings.durability == ALWAYS
        self._careful_seq = 0
        self._careful_ns = 0
        super().__init__(layout, settings, run_files)

    def append_one(self, draft: Any, recorded_ns: int) -> Event:
        """Append one draft as the contract says, usually the short way."""
        seq = self.last_seq + 1
        run_id = draft.run_id
        into = self.logs.get(run_id)
        if into is None or draft.id is not None or not draft.store_permanently:
            return self.append((draft,), recorded_ns)[0]
        if seq >= self._careful_seq or recorded_ns >= self._careful_ns:
            self._look_around(seq, recorded_ns)
            into = self.logs.get(run_id)
            if into is None or self.last_seq >= seq:  # a day has begun, or a file has grown
                return self.append((draft,), recorded_ns)[0]
        careful_seq = self._careful_seq
        line = self._line_of(draft, seq)
        # Whatever interrupts this, be it a Ctrl-C, makes the next append look around.
        self._careful_seq = 0
        written = into.write(line)
        # From here on the draft is the event; `become` does the same, and a call costs.
        draft.seq = seq
        draft.__class__ = Event
        if draft.make_current:
            self.current[draft.type] = draft
        if run_id is not None:
            self.count(seq, seq, 1)
        self.last_seq = self.last_stored = seq
        into.size += written
        self._careful_seq = careful_seq
        if self._is_always:
            self.sync_log(into)
        if self.waiters:
            self._wake()
        return draft  # type: ignore[no-any-return]

    def append(
        self, drafts: Sequence[CheckedDraft], recorded_ns: int, seqs: Sequence[int] | None = None
    ) -> list[Event]:
        """Append *drafts* as the contract says, under *seqs* where these are given."""
        last_seq = self.last_seq + len(drafts) if seqs is None else max(self.last_seq, *seqs)
        self._look_around(last_seq, recorded_ns)
        careful_seq, self._careful_seq = self._careful_seq, 0
        try:
            answer, new, segments = self._number(drafts, seqs)
        except (IdConflictError, NoActiveRunError):
            self._careful_seq = careful_seq
            raise
        self._write(segments)
        for draft in new:
            draft.__class__ = Event
        self._account(new, segments, may_be_older=seqs is not None)
        self._appended(careful_seq)
        return answer

    def append_block(self, block: DraftBlock, recorded_ns: int) -> BlockEvents:
        """Append the drafts of a *block* as the contract says."""
        first_seq = self.last_seq + 1
        self._look_around(self.last_seq + len(block), recorded_ns)
        stream = block.run_id
        if stream is not SITE and stream not in self.logs:
            raise NoActiveRunError(stream)
        careful_seq, self._careful_seq = self._careful_seq, 0
        if stream not in self.logs:
            self.open_site()
        events = BlockEvents(block, first_seq)
        segments = [_Segment(stream, events, [lines_of(block, first_seq)])]
        self._write(segments)
        self._account([events[place] for place in block.latest()], segments)
        self._appended(careful_seq)
        return events

    def _appended(self, careful_seq: int) -> None:
        """Do what is due behind a batch: it may be synced, and waited for."""
        self._careful_seq = careful_seq
        if self._is_always:
            for into in self.logs.values():
                self.sync_log(into)
        if self.waiters:
            self._wake()

    def replicate(self, events: Sequence[Event]) -> None:
        """
        Keep *events* as the contract says, each in the file of the day of its ts.

        Their seqs are above those of what is stored already. When there is room for a part of
        them only, whole days may have been kept; they are passed over the next time.
        """
        for one, two in itertools.pairwise(events):
            if one.seq >= two.seq:
                raise IdConflictError(f"seq {two.seq}", two.seq)
        new = [event for event in events if not self._is_kept(event)]
        for event in new:
            if event.run_id is not SITE and event.run_id not in self.logs:
                raise NoActiveRunError(event.run_id)
        now_ns = system_clock()
        for day, group in itertools.groupby(new, lambda event: self.day_of(event.ts, now_ns)):
            drafts = [_draft_of(event) for event in group]
            seqs = [draft.seq for draft in drafts]
            self.append(drafts, min(now_ns, next_noon_ns(day, self.zone) - 1), seqs)

    def _is_kept(self, event: Event) -> bool:
        if event.seq > self.last_seq:
            return False
        # After a kill the numbers go on behind those that were reserved, far behind what is stored.
        is_behind = event.seq > self.last_stored
        chosen = Selection(after=event.seq - 1, limit=1)
        found = iter(()) if is_behind else self._reader.read(chosen, event.seq)
        of_seq = (one for one in self.current.copy().values() if one.seq == event.seq)
        kept = next(itertools.chain(found, of_seq), None)
        # An ephemeral event leaves no trace behind when another one becomes current.
        is_free = is_behind or not event.store_permanently
        if kept != event and (kept is not None or not is_free):
            raise IdConflictError(f"seq {event.seq}", event.seq)
        return kept is not None

    def _number(
        self, drafts: Sequence[CheckedDraft], seqs: Sequence[int] | None
    ) -> tuple[list[Any], list[Any], list[_Segment]]:
        """
        Give *drafts* their seqs, and return the answers, those that are new, and what to write.

        Lines are written in order of seq also over several files, so that who reads them from
        another process never sees a seq before one that is smaller.
        """
        answer: list[Any] = []
        new: list[Any] = []
        segments: list[_Segment] = []
        new_ids: dict[str, Any] = {}
        line_of = self._line_of
        seq = self.last_seq
        for place, draft in enumerate(drafts):
            stream = draft.run_id
            if stream is not SITE and stream not in self.logs:
                raise NoActiveRunError(stream)
            if draft.id is not None and seqs is None:
                known = self._known(draft, new_ids)
                if known is not None:
                    answer.append(known)
                    continue
                new_ids[draft.id] = draft
            seq = seq + 1 if seqs is None else seqs[place]
            draft.seq = seq
            answer.append(draft)
            new.append(draft)
            if draft.store_permanently:
                if stream not in self.logs:
                    self.open_site()
                if not segments or segments[-1].stream != stream:
                    segments.append(_Segment(stream))
                segments[-1].events.append(draft)  # type: ignore[attr-defined]
                segments[-1].lines.append(line_of(draft, seq))
        return answer, new, segments

    def _known(self, draft: CheckedDraft, new_ids: dict[str, Any]) -> Event | None:
        """Return the answer to a retry of what is stored already, or `None` if it is new."""
        event_id = str(draft.id)
        if event_id in new_ids:
            return duplicate_of(draft, new_ids[event_id])
        seq = self.ids.seq_of(event_id)
        if seq is None:
            return None
        found = self._reader.read(Selection(after=seq - 1, limit=1), seq)
        event = next(iter(found), None)
        if event is None or event.id != event_id:
            self.ids.forget(event_id)
            return None
        return duplicate_of(draft, event)

    def _write(self, segments: list[_Segment]) -> None:
        """Write the lines of a batch into all their files, or leave every file as it was."""
        touched: list[Log] = []
        try:
            for segment in segments:
                into = self.logs[segment.stream]
                touched.append(into)
                block = b"".join(segment.lines)
                for start in range(0, len(block), _PIECE):
                    into.write(block[start : start + _PIECE])
        except StorageError as error:
            for into in touched:
                into.cut_back()
            broken = next((into for into in touched if into.is_broken), None)
            if broken is not None and not isinstance(error, OutcomeUnknownError):
                reason = f"{error}, and a part of the batch cannot be cut off"
                raise OutcomeUnknownError(str(broken.path), reason) from error
            if sum(len(segment.events) for segment in segments) > 1:
                # Another process may have seen the lines that are gone: not these numbers again.
                self.last_seq = segments[-1].events[-1].seq
            raise

    def _account(
        self, new: list[Any], segments: list[_Segment], *, may_be_older: bool = False
    ) -> None:
        """Take account of what was written: of the *new* events, or the last of each type."""
        current = self.current
        for event in new:
            if event.make_current and not (may_be_older and self._is_older(event)):
                current[event.type] = event
            if event.id is not None and event.store_permanently:
                self.ids.add(event.id, event.seq)
        for segment in segments:
            if segment.stream is not SITE:
                first, last = segment.events[0].seq, segment.events[-1].seq
                self.count(first, last, len(segment.events))
        if new:
            self.last_seq = max(self.last_seq, new[-1].seq)
        if segments:
            self.last_stored = segments[-1].events[-1].seq
        # The sizes last: whatever is not accounted for when this is interrupted is found again.
        for segment in segments:
            self.logs[segment.stream].size += sum(map(len, segment.lines))

    def _is_older(self, event: Event) -> bool:
        """Whether a later event of its type is current."""
        known = self.current.get(event.type)
        return known is not None and known.seq > event.seq

    def _look_around(self, last: int, recorded_ns: int) -> None:
        """See that seqs up to *last* can be given, and until when nothing need be looked at."""
        if self.failure is not None:
            raise self.failure
        self.check_files()
        if recorded_ns >= self.noon_ns:
            self.enter_day(recorded_ns)
        if last > self.reservation.until:
            self.reservation.cover(last)
        self._careful_seq = min(self.reservation.until, last + _CAREFUL_EVENTS) + 1
        self._careful_ns = min(self.noon_ns, recorded_ns + _CAREFUL_NS)
        if self.failure is not None:  # it came from another thread just now
            self._careful_ns = 0
            raise self.failure

    def _wake(self) -> None:
        # Out of one and the same list, where a waiter who comes meanwhile is found the next time.
        with contextlib.suppress(IndexError):  # one has left by itself
            for _ in range(len(self.waiters)):
                self.waiters.popleft().set()

    def fail(self, error: StorageError) -> None:
        """Take no more: what is in the files is no longer certain."""
        super().fail(error)
        # An append that is under way puts the other bound back.
        self._careful_ns = 0

    def disown(self) -> None:
        """Let go of every descriptor: the files are closed, or they are a parent process's."""
        super().disown()
        self._careful_ns = 0
        self._wake()


def _draft_of(event: Event) -> CheckedDraft:
    draft = make_checked_draft(
        event.ts,
        event.type,
        event.data_json,
        event.meta_json,
        event.run_id,
        event.id,
        event.make_current,
        event.store_permanently,
    )
    draft.seq = event.seq
    return draft
