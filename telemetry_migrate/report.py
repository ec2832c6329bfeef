"""Report: what a migration did, so that every record is accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen


@frozen(kw_only=True)
class FileReport:
    """What became of one file of the source: records read, and how many were rejected."""

    file: str
    read: int = 0
    rejected: int = 0


@frozen(kw_only=True)
class VerifiedCount:
    """
    One day and type, counted on both sides.

    `expected` is what the source holds (each repeated record once, and what was in the target
    before), `found` what the target holds; the hashes are over the same, whatever the order.
    """

    day: str
    type: str
    expected: int
    found: int
    expected_hash: str
    found_hash: str

    @property
    def is_same(self) -> bool:
        """Whether both sides hold the same records."""
        return (self.expected, self.expected_hash) == (self.found, self.found_hash)


@frozen(kw_only=True)
class Report:
    """
    What a migration did.

    `read` is always `written + already_there + rejected`. A record is already there when its file
    held it before, or when the archive holds it twice. `nulled` counts NaN and infinite numbers
    that became null, `days` the events of each day file. With `is_dry_run` the numbers say what
    would have happened. `verified` is empty unless it was asked for.
    """

    source: str
    dest: str
    read: int = 0
    written: int = 0
    already_there: int = 0
    rejected: int = 0
    nulled: int = 0
    days: Mapping[str, int] = field(factory=dict)
    files: tuple[FileReport, ...] = ()
    rejects_file: Path | None = None
    is_dry_run: bool = False
    verified: tuple[VerifiedCount, ...] = ()

    @property
    def is_verified(self) -> bool:
        """Whether both sides were compared and hold the same."""
        return bool(self.verified) and all(each.is_same for each in self.verified)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, as `--json` prints it."""
        values = asdict(self, value_serializer=_plain)
        for each, count in zip(values["verified"], self.verified, strict=True):
            each["is_same"] = count.is_same
        return values


def _plain(_: Any, __: Any, value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
