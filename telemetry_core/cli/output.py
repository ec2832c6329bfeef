"""Data on stdout: a table for a person, lines for a pipe, JSON for a program."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click
import orjson

if TYPE_CHECKING:
    from rich.console import OverflowMethod
    from rich.table import Table


def is_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout is not None and sys.stdout.isatty()


def print_json(value: Any) -> None:
    """Print *value* as one JSON document, over several lines."""
    click.echo(_printable_json(orjson.dumps(value, option=orjson.OPT_INDENT_2)))


def print_json_line(value: Any) -> None:
    """Print *value* as one line of NDJSON, at once."""
    click.echo(_printable_json(orjson.dumps(value)))


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print *rows*: in a terminal as a table under *columns*, else as lines split by tabs."""
    if not is_terminal():
        for row in rows:
            print_line(row)
        return
    from rich.console import Console

    Console().print(make_table(columns, rows))


def print_line(cells: Sequence[str]) -> None:
    """Print *cells* as one line split by tabs, at once, also in a terminal."""
    click.echo("\t".join(printable(cell) for cell in cells))


def make_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, is_cut: bool = False
) -> Table:
    """
    Return *rows* under *columns* as a table for the terminal; the first column stands out.

    What does not fit into a cell goes on in a line below it, or *is_cut* off.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for index, column in enumerate(columns):
        table.add_column(column, style="bold" if index == 0 else "", overflow="fold")
    overflow: OverflowMethod = "ellipsis" if is_cut else "fold"
    for row in rows:
        # As Text, because "[red]" in somebody's data is data and no colour.
        cells = (Text(printable(cell), no_wrap=is_cut, overflow=overflow) for cell in row)
        table.add_row(*cells)
    return table


def printable(text: str) -> str:
    """Return *text* with whatever could steer a terminal or break a line spelled out."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _printable_json(text: bytes) -> str:
    """Return JSON *text* with the same values, and nothing in it that could steer a terminal."""
    shown = text.decode()
    if shown.isascii() and "\x7f" not in shown:  # below the space orjson escapes by itself
        return shown
    return "".join(
        each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in shown
    )


def json_text(value: Any) -> str:
    """Return *value* as compact JSON text."""
    return orjson.dumps(value).decode()
