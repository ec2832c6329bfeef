"""Routing: which stream an event goes to, the time it is stamped with, and its run's id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from telemetry_core.clock import Stamper
from telemetry_core.events import EMPTY_META

if TYPE_CHECKING:
    from collections.abc import Iterable

    from telemetry_core.blocks import DraftBlock
    from telemetry_core.events import CheckedDraft
    from telemetry_core.runs import Run


class Router:
    """
    Turns what was checked into what is stored, at the moment of recording.

    During a run an event goes to the run, unless its writer or its type sends it to the site.
    Used by one thread at a time, the one that appends.
    """

    __slots__ = ("_ms", "_run_id", "_run_meta", "_site_types", "_stamp", "_ts", "active_run")

    def __init__(self, site_types: Iterable[str]) -> None:
        self._site_types = frozenset(site_types)
        self._stamp = Stamper()
        self._ms: int | None = None
        self._ts = ""
        self.set_active_run(None)

    def set_active_run(self, run: Run | None) -> None:
        """Send events to *run* from now on, or to the site when it is `None`."""
        self.active_run = run
        self._run_id = None if run is None else run.run_id
        self._run_meta = EMPTY_META if run is None else orjson.dumps({"run_id": run.run_id})

    def route(self, draft: Any, now_ns: int) -> CheckedDraft:
        """Give *draft*, recorded at *now_ns*, its stream and its time, and return it."""
        if draft.ts is None:
            draft.ts = self._now(now_ns)
        if self._site_types and draft.type in self._site_types:
            draft._to_site = True  # noqa: SLF001
        run_id = self._run_id
        if run_id is None or draft._to_site:  # noqa: SLF001
            draft.run_id = None
            return draft  # type: ignore[no-any-return]
        draft.run_id = run_id
        meta_json = draft._meta_json  # noqa: SLF001
        draft._meta_json = (  # noqa: SLF001
            self._run_meta
            if meta_json == EMPTY_META
            else b"%b,%b" % (meta_json[:-1], self._run_meta[1:])
        )
        return draft  # type: ignore[no-any-return]

    def route_again(self, draft: Any, now_ns: int) -> CheckedDraft:
        """Route *draft* anew, after it was found that another run is active than was known."""
        if draft.run_id is not None:
            # The run's id is the last that was written into meta.
            added = orjson.dumps({"run_id": draft.run_id})
            meta_json = draft._meta_json  # noqa: SLF001
            draft._meta_json = (  # noqa: SLF001
                EMPTY_META if meta_json == added else meta_json[: -len(added)] + b"}"
            )
        self.route(draft, now_ns)
        draft.meta = orjson.loads(draft._meta_json)  # noqa: SLF001  # it may have been looked at
        return draft  # type: ignore[no-any-return]

    def route_block(self, block: DraftBlock, now_ns: int) -> bool:
        """Do the same for a *block*, also anew, unless its drafts go to different streams."""
        if self._run_id is not None and not self._site_types.isdisjoint(block.types):
            return False
        block.run_id, block.meta_json = self._run_id, self._run_meta
        if None in block.ts:
            now = self._now(now_ns)
            block.ts = [now if ts is None else ts for ts in block.ts]
        return True

    def route_each(self, block: DraftBlock, now_ns: int) -> list[CheckedDraft]:
        """Do the same for the drafts of a *block* one by one, and return them."""
        drafts: list[Any] = block.drafts()
        for draft in drafts:
            draft._to_site = False  # noqa: SLF001
            self.route(draft, now_ns)
        return drafts

    def _now(self, now_ns: int) -> str:
        ms = now_ns // 1_000_000
        if ms != self._ms:
            self._ms = ms
            self._ts = self._stamp(now_ns)
        return self._ts
