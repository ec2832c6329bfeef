"""The files of a PanFileDB: which hold collections, and which are snapshots of one."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from attrs import frozen

from telemetry_core.errors import InvalidEventError, MalformedJSONError
from telemetry_migrate.errors import SourceNotFoundError
from telemetry_migrate.framing import Framing
from telemetry_migrate.lines import line_blocks
from telemetry_migrate.oldjson import read_old_json

SNAPSHOT: Final = "current_"


@frozen
class Collection:
    """One collection of an archive: its name, its file, and how much of that was there."""

    name: str
    path: Path
    size: int

    def open(self) -> BinaryIO:
        """
        Open its file to be read.

        Raises:
            OSError: It cannot be, or is something that one would wait for, such as a pipe.
        """
        return _open_file(self.path)


def _open_file(path: Path) -> BinaryIO:
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "no regular file")
    return path.open("rb")


def find_collections(source: Path) -> list[Collection]:
    """
    Return the collections in the directory *source*, by name.

    What is appended to them later is left to another time.

    Raises:
        SourceNotFoundError: There is no such directory, or no collection in it.
    """
    if not source.is_dir():
        raise SourceNotFoundError(str(source), "no such directory")
    paths = {path.stem: path for path in sorted(source.glob("*.json"))}
    found = [
        Collection(name, path, _size_of(path))
        for name, path in paths.items()
        if not _is_snapshot(path, set(paths))
    ]
    if not found:
        raise SourceNotFoundError(str(source), "it has no <collection>.json")
    return found


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # it cannot be read either, which is a reject then


def _is_snapshot(path: Path, names: set[str]) -> bool:
    """
    Whether the file *path* is the current value of a collection.

    A snapshot is one record whose type is the name behind `current_`. A collection of such a name
    (`current_draw`) has more records, or one whose type is its own name.
    """
    if not path.stem.startswith(SNAPSHOT):
        return False
    of = path.stem.removeprefix(SNAPSHOT)
    try:
        records = list(islice(_records(path), 2))
    except OSError:
        records = []
    if len(records) != 1:
        return not records and of in names
    record = records[0]
    if isinstance(record, dict) and isinstance(record.get("type"), str):
        return bool(record["type"] == of)
    return of in names


def _records(path: Path) -> Iterator[Any]:
    """Yield the values in the file *path*, one that cannot be read as `None`."""
    framing = Framing()
    with _open_file(path) as file:
        for lines in line_blocks(file):
            for line in lines:
                yield from map(_value, framing.take(line))
        yield from map(_value, framing.end())


def _value(text: bytes) -> Any:
    try:
        return read_old_json(text)[0]
    except (MalformedJSONError, InvalidEventError):
        return None
