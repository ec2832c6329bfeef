"""What could not be migrated, written down with its place, the reason and its raw text."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import orjson
from attrs import frozen

from telemetry_migrate.synced import sync_directory


@frozen
class Reject:
    """One record that was not taken; `line` is `None` when it is the whole file."""

    file: str
    line: int | None
    reason: str
    raw: bytes = b""

    def as_dict(self) -> dict[str, Any]:
        """Return it as a line of the rejects file: bytes that are no text as `raw_base64`."""
        file = printable(self.file)
        values: dict[str, Any] = {"file": file, "line": self.line, "reason": self.reason}
        try:
            return {**values, "raw": self.raw.decode()}
        except UnicodeDecodeError:
            return {**values, "raw_base64": base64.b64encode(self.raw).decode()}


def printable(name: str) -> str:
    """Return the *name* of a file, with a backslash for each byte that is no text in UTF-8."""
    return os.fsencode(name).decode(errors="backslashreplace")


class RejectsWriter:
    """
    Writes rejects as NDJSON into *path*, or nowhere when that is `None`.

    The file is there, whole, once `finish` was called; one of an earlier migration is replaced, or
    removed if there was nothing to reject.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def write(self, reject: Reject) -> None:
        """Write *reject* down."""
        self.write_values(reject.as_dict())

    def write_values(self, values: Mapping[str, Any]) -> None:
        """Write down a reject that was read from another file of them."""
        if self.path is None:
            return
        if self._file is None:
            self._file = self._new_path(self.path).open("wb")
        self._file.write(
            orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE),
        )

    def finish(self) -> Path | None:
        """Put the file in place, safe from a power cut, and return it if there is one."""
        if self.path is None:
            return None
        if self._file is None:
            self.path.unlink(missing_ok=True)
            return None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._new_path(self.path).replace(self.path)
        sync_directory(self.path.parent)
        return self.path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None and self.path is not None:
            self._file.close()
            self._new_path(self.path).unlink(missing_ok=True)

    @staticmethod
    def _new_path(path: Path) -> Path:
        return path.with_name(f".{path.name}.new")


def read_rejects(path: Path, lines_before: int) -> Iterator[dict[str, Any]]:
    """Yield the rejects in the file *path*, their lines counted on from *lines_before*."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            values = orjson.loads(line)
            if values["line"] is not None:
                values["line"] += lines_before
            yield values
