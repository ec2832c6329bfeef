"""A progress bar with rate and time left, for a person at a terminal and nobody else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from telemetry_migrate.progress import Progress, ShowProgress


@contextmanager
def progress_bar(*, is_wanted: bool = True) -> Iterator[ShowProgress | None]:
    """Give what shows progress on stderr, or `None` where that is no terminal."""
    if not is_wanted or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bar

    text, bar, left = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    per_second = TextColumn("{task.speed:,.0f}/s", justify="right")
    columns = {"bytes": (DownloadColumn(), TransferSpeedColumn())}
    console = Console(stderr=True)
    shown: dict[str, tuple[Bar, TaskID]] = {}

    def show(progress: Progress) -> None:
        if progress.phase not in shown:
            for before, _ in shown.values():
                before.stop()
            done = columns.get(progress.unit, (MofNCompleteColumn(), per_second))
            display = Bar(text, bar, *done, left, console=console)
            display.start()
            shown[progress.phase] = display, display.add_task(progress.phase, total=progress.total)
        display, task = shown[progress.phase]
        display.update(task, completed=progress.done)

    try:
        yield show
    finally:
        for display, _ in shown.values():
            display.stop()
