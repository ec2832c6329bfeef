"""What a forked child finds in place of its parent's storage."""

from __future__ import annotations

from typing import Any

from telemetry_core.errors import StorageClosedError
from telemetry_core.storage import Storage


class ParentsStorage(Storage):
    """A storage that belongs to the parent process: closed, for all a child may do."""

    def __init__(self, storage: Storage) -> None:
        # Held, because letting go of it could end a connection that the parent uses.
        self._storage = storage

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise StorageClosedError(type(self._storage).__name__)

    append = read = start_run = finish_run = runs = _refuse

    def close(self) -> None:
        """Nothing is ours to close."""
