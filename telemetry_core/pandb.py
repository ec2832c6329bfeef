"""PanDB's five calls over an embedded recorder, for programs that were written for PanDB."""

from __future__ import annotations

import os
import threading
import uuid
import weakref
from typing import Any

from telemetry_core.events import Event
from telemetry_core.recorder import Recorder
from telemetry_core.recorder import open as open_recorder

_CLEARED = "cleared"


class _Shared:
    """A recorder that every PanDB of the same place in this process uses, until none is left."""

    def __init__(self, url: str) -> None:
        self.recorder: Recorder = open_recorder(url)
        weakref.finalize(self, self.recorder.close)


_opened: weakref.WeakValueDictionary[str, _Shared] = weakref.WeakValueDictionary()
_opening = threading.Lock()


class PanDB:
    """
    The database of panoptes-utils: records by collection, and the current one of each.

    `db_type="file"` records into the site directory `storage_dir/db_name`; `"memory"` keeps the
    records while an object of that name lives. Objects of the same place in one process share it;
    another process that writes there raises `StorageInUseError`.

    A record is a dictionary with `_id` (a uuid4 as text), `type`, `date` (RFC 3339, UTC) and
    `data`, which may be any JSON value.

    Raises:
        ValueError: *db_type* is neither.
        StorageError: The directory cannot be used.
    """

    def __init__(
        self,
        db_type: str = "memory",
        db_name: str = "panoptes",
        storage_dir: str | os.PathLike[str] = "json_store",
    ) -> None:
        if db_type not in ("file", "memory"):
            raise ValueError(f"no db_type {db_type!r}; there are 'file' and 'memory'")
        self.db_type = db_type
        self.db_name = db_name
        place = os.path.abspath(os.path.join(storage_dir, db_name))  # noqa: PTH100, PTH118
        url, key = (place, place) if db_type == "file" else ("memory:", f"memory:{db_name}")
        with _opening:
            shared = _opened.get(key)
            if shared is None:
                shared = _opened[key] = _Shared(url)
        self._shared = shared

    @property
    def recorder(self) -> Recorder:
        """The recorder below, for what PanDB had no call for: runs, history, following."""
        return self._shared.recorder

    def insert_current(
        self,
        collection: str,
        obj: Any,
        store_permanently: bool = True,  # noqa: FBT001, FBT002  # PanDB's signature
    ) -> str:
        """
        Make *obj* the current record of *collection*, keep it in the history, and return its id.

        Raises:
            InvalidEventError: It has no JSON.
        """
        obj_id = str(uuid.uuid4())
        self.recorder.record(collection, obj, id=obj_id, store_permanently=store_permanently)
        return obj_id

    def insert(self, collection: str, obj: Any) -> str:
        """
        Keep *obj* in the history of *collection* only, and return its id.

        Raises:
            InvalidEventError: It has no JSON.
        """
        obj_id = str(uuid.uuid4())
        self.recorder.record(collection, obj, id=obj_id, make_current=False)
        return obj_id

    def get_current(self, collection: str) -> dict[str, Any] | None:
        """Return the current record of *collection*, or `None`."""
        event = self.recorder.current().get(collection)
        return None if event is None or _CLEARED in event.meta else _record(event)

    def find(self, collection: str, obj_id: str) -> dict[str, Any] | None:
        """Return the record of that id from the history of *collection*, or `None`."""
        for event in self.recorder.history(types=collection):
            if event.id == obj_id:
                return _record(event)
        return None

    def clear_current(self, type: str) -> None:  # noqa: A002
        """
        Forget the current record of a collection; the history keeps it.

        What was recorded does not change, so this records an event that says so.
        """
        if self.get_current(type) is not None:
            self.recorder.record(type, None, meta={_CLEARED: True})


def _record(event: Event) -> dict[str, Any]:
    return {"_id": event.id, "type": event.type, "date": event.ts, "data": event.data}
