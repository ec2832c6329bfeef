"""The checkpoint: the state of a site directory, so that a start need not read every line."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import orjson
from attrs import field, frozen

from telemetry_core.events import Event
from telemetry_core.ndjson.layout import write_whole
from telemetry_core.ndjson.lines import from_stored, stored_line
from telemetry_core.ndjson.log import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

_FORMAT = 2


@frozen(kw_only=True)
class Checkpoint:
    """
    What the lines up to certain offsets add up to.

    `sizes` are those offsets, by the names of the files that were open: whatever came later is
    behind them, or in a file of a later day. `run` is the directory of the active run, `counts`
    are that run's. `last_seq` is the last number given, `last_stored` the last one in a file,
    `current` the latest event of each type.
    """

    last_seq: int
    last_stored: int
    sizes: Mapping[str, int] = field(factory=dict)
    run: str | None = None
    counts: Counts = field(factory=Counts)
    current: Mapping[str, Event] = field(factory=dict)

    def write(self, path: Path) -> None:
        """Put this in the place of the checkpoint at *path*, safe from a power cut."""
        facts = {
            "format": _FORMAT,
            "last_seq": self.last_seq,
            "last_stored": self.last_stored,
            "files": dict(self.sizes),
            "run": self.run,
            "counts": list(self.counts),
            "current": [stored_line(event) for event in self.current.values()],
        }
        write_whole(path, orjson.dumps(facts) + b"\n")

    @classmethod
    def read(cls, path: Path) -> Checkpoint | None:
        """Return the checkpoint at *path*, or `None` if there is none that can be read."""
        try:
            facts = orjson.loads(path.read_bytes())
            if facts["format"] != _FORMAT:
                log.info("%s is of format %r; reading all lines", path, facts["format"])
                return None
            current = [from_stored(values) for values in facts["current"]]
            return cls(
                last_seq=int(facts["last_seq"]),
                last_stored=int(facts["last_stored"]),
                sizes={str(name): int(size) for name, size in facts["files"].items()},
                run=facts["run"],
                counts=Counts(*facts["counts"]),
                current={event.type: event for event in current},
            )
        except FileNotFoundError:
            return None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            log.warning("%s cannot be read, reading all lines: %s", path, error)
            return None
