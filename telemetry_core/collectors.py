"""Collectors: sources of readings that are polled, such as the machine's own sensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from attrs import frozen


@frozen(kw_only=True)
class CollectorType:
    """
    A source of readings, as a plugin registers it.

    `open` returns a callable that takes one reading of everything the source knows, as pairs of
    event type and data, each time it is called.
    """

    name: str
    summary: str
    open: Callable[[], Callable[[], Iterable[tuple[str, Any]]]]
