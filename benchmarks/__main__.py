"""`python -m benchmarks [NAME …]`: run all benchmarks, or those named."""

from __future__ import annotations

import importlib
import platform
import sys
import tempfile
from pathlib import Path

ALL = ("record", "history", "http", "ingest", "stream", "migrate", "postgres")


def main(names: list[str]) -> None:
    """Run the benchmarks called *names*, each in a directory of its own."""
    print(
        f"Python {platform.python_version()}; medians; read the ratios, times only give the scale"
    )
    for name in names or ALL:
        benchmark = importlib.import_module(f"benchmarks.bench_{name}")
        with tempfile.TemporaryDirectory(prefix="telemetry-bench-") as directory:
            benchmark.run(Path(directory))


if __name__ == "__main__":
    main(sys.argv[1:])
