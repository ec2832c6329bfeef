"""A progress bar with rate and time left, for a person at a terminal and nobody else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from telemetry_migrate.progress import Progress, ShowProgress


@contextmanager
def progress_bar() -> Iterator[ShowProgress | None]:
    """Give what shows progress on stderr, or `None` where that is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        ProgressColumn,
        Task,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar
    from rich.text import Text

    class Rate(ProgressColumn):
        """How much is done in a second, in the unit of the phase."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed or 0.0
            unit = task.fields["unit"]
            rate = f"{speed / 1e6:.1f} MB/s" if unit == "bytes" else f"{speed:,.0f} {unit}/s"
            return Text(rate)

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    phases = {}
    with Bar(*columns, console=Console(stderr=True)) as bar:

        def show(progress: Progress) -> None:
            if progress.phase not in phases:
                # A source that does not know its size has a bar without an end.
                total = progress.total or None
                phases[progress.phase] = bar.add_task(
                    progress.phase, total=total, unit=progress.unit
                )
            bar.update(phases[progress.phase], completed=progress.done)

        yield show
