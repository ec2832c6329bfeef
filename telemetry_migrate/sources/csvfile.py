"""A CSV file as a source: each row an event, its columns mapped to a time, a type and data."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import datetime, tzinfo
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Self

import orjson
from attrs import frozen

from telemetry_core.clock import NS, format_ts, local_zone, parse_ts, ts_of
from telemetry_core.events import Draft
from telemetry_core.hookspecs import hookimpl
from telemetry_migrate.errors import SourceNotFoundError, SourceSettingsError
from telemetry_migrate.rejects import Reject
from telemetry_migrate.sources import Options, SourceType, check_options

NAME: Final = "csv"
OPTIONS: Final = ("time", "type", "type_column", "columns", "timezone", "delimiter")

_NUMBER = re.compile(r"[+-]?\d+(?P<rest>\.\d+)?(?P<power>[eE][+-]?\d+)?", re.ASCII)


@hookimpl
def telemetry_register_source() -> SourceType:
    """Sign up `csv:`."""
    return SourceType(name=NAME, summary="a CSV file with a header, each row an event", read=read)


def read(place: str, options: Options) -> Iterator[Draft | Reject]:
    """
    Yield the rows of the CSV file *place*, mapped as *options* say.

    `time` names the column of the time: RFC 3339, seconds since 1970, or a local time of the IANA
    zone `timezone`. The type is `type`, or what stands in the column `type_column`, or the name of
    the file. `columns` chooses the data, as `temp_c=temperature (*C),wind_dir`; without it all
    other columns are taken. Text that is a number becomes one, and none at all null. `delimiter`
    is a comma unless given.

    Raises:
        SourceNotFoundError: There is no such file.
        SourceSettingsError: An option is wrong, or the file has no such column.
    """
    check_options(NAME, options, OPTIONS)
    path = Path(place)
    if not path.is_file():
        raise SourceNotFoundError(place, "no such file")
    # utf-8-sig takes off the mark that Excel writes; bytes that are no text cost their row only.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file, delimiter=options.get("delimiter", ","))
        columns = _Columns.of(_header_of(rows), path.stem, options)
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield Reject(path.name, rows.line_num, f"it cannot be read as CSV: {error}")
                continue
            if row:
                yield columns.draft_of(row, path.name, rows.line_num)


def _header_of(rows: Iterator[list[str]]) -> list[str]:
    try:
        return next(rows, [])
    except csv.Error as error:
        raise SourceSettingsError(NAME, f"the header cannot be read as CSV: {error}") from None


@frozen(kw_only=True)
class _Columns:
    """Where in a row the time, the type and the data stand."""

    header: tuple[str, ...]
    time: int
    type: int | str
    data: dict[str, int]
    zone: tzinfo | None

    @classmethod
    def of(cls, header: list[str], stem: str, options: Options) -> Self:
        """Find the columns that *options* name in the *header*."""

        def place_of(name: str) -> int:
            if name not in header:
                there = ", ".join(map(repr, header))
                raise SourceSettingsError(NAME, f"no column {name!r}; there are {there}")
            return header.index(name)

        if "time" not in options:
            raise SourceSettingsError(NAME, "say which column is the time, as ?time=date")
        time = place_of(options["time"])
        type_: int | str = options.get("type", stem)
        if "type_column" in options:
            type_ = place_of(options["type_column"])
        if "columns" in options:
            pairs = [part.partition("=") for part in options["columns"].split(",")]
            data = {name.strip(): place_of((column or name).strip()) for name, _, column in pairs}
        else:
            data = {name: i for i, name in enumerate(header) if i not in (time, type_)}
        try:
            zone = local_zone(options["timezone"]) if "timezone" in options else None
        except ValueError as error:
            raise SourceSettingsError(NAME, str(error)) from None
        return cls(header=tuple(header), time=time, type=type_, data=data, zone=zone)

    def draft_of(self, row: list[str], file: str, line: int) -> Draft | Reject:
        """Return the event in *row*."""
        raw = ",".join(row).encode(errors="surrogateescape")
        if len(row) != len(self.header):
            return Reject(file, line, f"{len(row)} cells under {len(self.header)} columns", raw)
        try:
            raw.decode()
            ts = self._time_of(row[self.time].strip())
        except ValueError as error:
            return Reject(file, line, str(error), raw)
        type_ = self.type if isinstance(self.type, str) else row[self.type]
        data = {name: _value(row[place]) for name, place in self.data.items()}
        known_by = blake2b(orjson.dumps([ts, type_, data]), digest_size=16).hexdigest()
        meta = {"migrated_from": file, "original_id": line}
        return Draft(type_, data, ts=ts, meta=meta, make_current=False, id=f"csv:{known_by}")

    def _time_of(self, text: str) -> str:
        number = _NUMBER.fullmatch(text)
        if number is not None:
            if number["power"]:
                raise ValueError(f"{text!r} is no number of seconds such as 1616025948.955")
            return _ts_of_seconds(text)
        if self.zone is None:
            return parse_ts(text)[0]
        moment = datetime.fromisoformat(text)
        return ts_of(moment if moment.tzinfo else moment.replace(tzinfo=self.zone))


def _ts_of_seconds(text: str) -> str:
    """Return the instant *text* seconds after 1970, exact to its last digit of nine."""
    whole, _, fraction = text.partition(".")
    if len(whole) > 11 or len(fraction) > 9 or whole.startswith("-"):  # noqa: PLR2004
        raise ValueError(f"{text!r} is no number of seconds such as 1616025948.955")
    prefix = format_ts(int(whole) * NS)[:19]
    return parse_ts(f"{prefix}.{fraction or '0'}Z")[0]


def _value(text: str) -> Any:
    text = text.strip()
    number = _NUMBER.fullmatch(text)
    if number is None:
        return text or None
    is_whole = number["rest"] is None and number["power"] is None
    return int(text) if is_whole else float(text)
