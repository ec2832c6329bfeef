"""Routing: which stream an event goes to, the time it is stamped with, and its run's id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from telemetry_core.clock import Stamper
from telemetry_core.events import EMPTY_META, CheckedDraft, make_checked_draft

if TYPE_CHECKING:
    from collections.abc import Iterable

    from telemetry_core.runs import Run
    from telemetry_core.validation import Checked


class Router:
    """
    Turns what was checked into what is stored, at the moment of recording.

    During a run an event goes to the run, unless its writer or its type sends it to the site.
    Used by one thread at a time, the one that appends.
    """

    __slots__ = ("_run_id", "_run_meta", "_site_types", "_stamp", "active_run")

    def __init__(self, site_types: Iterable[str]) -> None:
        self._site_types = frozenset(site_types)
        self._stamp = Stamper()
        self.set_active_run(None)

    def set_active_run(self, run: Run | None) -> None:
        """Send events to *run* from now on, or to the site when it is `None`."""
        self.active_run = run
        self._run_id = None if run is None else run.run_id
        self._run_meta = EMPTY_META if run is None else orjson.dumps({"run_id": run.run_id})

    def route(self, checked: Checked, now_ns: int) -> CheckedDraft:
        """Return the draft to store for what was *checked*, recorded at *now_ns*."""
        type_, data_json, ts, meta, make_current, store_permanently, to_site, event_id = checked
        run_id = self._run_id
        meta_json = self._run_meta
        if run_id is not None and (to_site or type_ in self._site_types):
            run_id = None
            meta_json = EMPTY_META
        if meta:
            meta_json = _meta_json(meta, run_id)
        if ts is None:
            ts = self._stamp(now_ns)
        return make_checked_draft(
            ts, type_, data_json, meta_json, run_id, event_id, make_current, store_permanently
        )


def _meta_json(meta: dict[str, object], run_id: str | None) -> bytes:
    # The run's id is ours to say: a writer's own would let an event pretend to belong to a run.
    kept = {key: value for key, value in meta.items() if key != "run_id"}
    return orjson.dumps(kept if run_id is None else {**kept, "run_id": run_id})
