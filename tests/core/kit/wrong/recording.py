"""Storages that are right for one thread, and wrong behind a recorder with many users."""

import threading

from telemetry_core.errors import RunActiveError, StorageUnavailableError
from tests.core.kit.fault import breaks
from tests.core.kit.journal import JournalStorage


@breaks("recorder.threads")
class BelongsToOneThread(JournalStorage):
    """Takes events of the thread that opened it, as a careless SQLite connection does."""

    def __init__(self, path):
        super().__init__(path)
        self.owner = threading.get_ident()

    def append(self, drafts, recorded_ns):
        if threading.get_ident() != self.owner:
            raise StorageUnavailableError("journal", "it was opened in another thread")
        return super().append(drafts, recorded_ns)


@breaks("recorder.race")
class LetsEachRunStart(JournalStorage):
    """Refuses a second start of the same run only."""

    def __init__(self, path):
        super().__init__(path)
        self.owner = None

    def start_run(self, run):
        try:
            return super().start_run(run)
        except RunActiveError:
            if self.owner == run.run_id:
                raise
            return run
        finally:
            self.owner = run.run_id
