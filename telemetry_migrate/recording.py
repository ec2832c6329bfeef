"""Recording what a source yields: new numbers, each event once, nothing dropped in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from itertools import islice

import orjson
from attrs import evolve

from telemetry_core.errors import IdConflictError, InvalidEventError
from telemetry_core.events import Draft
from telemetry_core.recorder import Recorder
from telemetry_migrate.copying import CopyReport
from telemetry_migrate.progress import COPYING, Meter, ShowProgress
from telemetry_migrate.rejects import Reject

_BATCH = 1000


def record_all(
    source: Iterable[Draft | Reject],
    recorder: Recorder,
    reject: Callable[[Reject], None],
    *,
    progress: ShowProgress | None = None,
) -> CopyReport:
    """
    Record each draft of *source* in the site stream, and hand on what cannot be recorded.

    None becomes current unless its draft says so. A draft that was recorded before, in an earlier
    call too, is passed over: by its `id`, or by what it says where it has none. For that the ids
    of the events that were brought in earlier are read first and kept in memory.

    Raises:
        StorageError: The storage did not keep a batch; those before are kept.
    """
    known = _ids_in(recorder)
    meter = Meter(progress, COPYING, 0, "events")
    read = written = there = rejected = 0
    items = iter(source)
    while batch := list(islice(items, _BATCH)):
        read += len(batch)
        drafts: list[Draft] = []
        for item in batch:
            if isinstance(item, Reject):
                rejected += 1
                reject(item)
                continue
            draft = evolve(item, stream="site", id=_id_of(item))
            key = _key(str(draft.id))
            if key in known:
                there += 1
            else:
                known.add(key)
                drafts.append(draft)
        for outcome in _record(recorder, drafts):
            if isinstance(outcome, Reject):
                rejected += 1
                reject(outcome)
            elif outcome:
                written += 1
            else:
                there += 1
        meter.add(len(batch))
    recorder.flush()
    last_seq = recorder.storage.wait(0, timeout=0)
    return CopyReport(
        read=read,
        written=written,
        already_there=there,
        rejected=rejected,
        last_seq=last_seq,
        is_recorded_anew=True,
    )


def _record(recorder: Recorder, drafts: list[Draft]) -> Iterator[bool | Reject]:
    """Record *drafts*; yield for each whether it is new, or the reject that it is."""
    try:
        yield from (not event.is_duplicate for event in recorder.record_many(drafts))
    except (InvalidEventError, IdConflictError) as error:
        if len(drafts) == 1:
            yield _rejected(drafts[0], error)
            return
        # Nothing of the batch was kept: look for the one in halves, the rest stays in batches.
        middle = len(drafts) // 2
        yield from _record(recorder, drafts[:middle])
        yield from _record(recorder, drafts[middle:])


def _rejected(draft: Draft, error: Exception) -> Reject:
    origin = (draft.meta or {}).get("migrated_from", "")
    raw = orjson.dumps(
        {"ts": draft.ts, "type": draft.type, "data": draft.data, "meta": draft.meta},
        default=repr,
        option=orjson.OPT_NON_STR_KEYS,
    )
    return Reject(str(origin), None, str(error), raw)


def _ids_in(recorder: Recorder) -> set[bytes]:
    return {
        _key(event.id)
        for event in recorder.history(stream="site")
        if event.id is not None and b'"migrated_from"' in event.meta_json
    }


def _id_of(draft: Draft) -> str:
    if draft.id is not None and 0 < len(draft.id) <= 128 and draft.id.isprintable():  # noqa: PLR2004
        return draft.id
    said = orjson.dumps([draft.ts, draft.type, draft.data, draft.id], default=repr)
    return f"migrated:{blake2b(said, digest_size=16).hexdigest()}"


def _key(event_id: str) -> bytes:
    """Return a few bytes that stand for the id, as a million of them are kept."""
    return blake2b(event_id.encode(errors="surrogatepass"), digest_size=10).digest()
