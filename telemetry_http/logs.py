"""What the service writes about itself on stderr: lines for people, or JSON for programs."""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

import orjson

from telemetry_core.clock import format_ts

ACCESS: Final = "telemetry_http.access"
_USUAL: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JSONFormatter(logging.Formatter):
    """One JSON object a line: `ts`, `level`, `logger`, `message`, and what else was given."""

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line, whatever is in it."""
        facts: dict[str, Any] = {
            "ts": format_ts(int(record.created * 1e9)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        facts |= {key: value for key, value in vars(record).items() if key not in _USUAL}
        if record.exc_info:
            facts["error"] = self.formatException(record.exc_info)
        # A lone surrogate in a name of a file is no reason to lose the line.
        plain = {key: _plain(value) for key, value in facts.items()}
        return orjson.dumps(plain, default=str).decode()


def write_json() -> None:
    """Write what is logged as JSON on stderr, in place of whatever was set up before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    for name in ("telemetry_core", "telemetry_http"):
        logging.getLogger(name).setLevel(logging.INFO)
    # Requests only when they are asked for.
    logging.getLogger(ACCESS).setLevel(logging.WARNING)


def write_access_text() -> None:
    """Write a line of text for each request on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger(ACCESS)
    logger.handlers[:] = [handler]
    logger.propagate = False


def _plain(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
