"""Where the service is, when nobody says: the environment, then the defaults."""

from __future__ import annotations

import os

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 6562
DEFAULT_SITE_DIR = "telemetry"


def host() -> str:
    """Return the host to serve on or to ask: `TELEMETRY_HOST`, else `PANOPTES_TELEMETRY_HOST`."""
    return _environment("HOST") or DEFAULT_HOST


def port() -> int:
    """
    Return the port to serve on or to ask: `TELEMETRY_PORT`, else `PANOPTES_TELEMETRY_PORT`.

    Raises:
        ValueError: It is no port number.
    """
    text = _environment("PORT")
    if not text:
        return DEFAULT_PORT
    if not (text.isascii() and text.isdigit() and int(text) < 65536):  # noqa: PLR2004
        raise ValueError(f"TELEMETRY_PORT is {text!r}, which is no port; use 0 to 65535")
    return int(text)


def site_dir() -> str:
    """Return the site directory: `TELEMETRY_SITE_DIR`, else `PANOPTES_TELEMETRY_SITE_DIR`."""
    return _environment("SITE_DIR") or DEFAULT_SITE_DIR


def token() -> str:
    """Return the token to show: `TELEMETRY_TOKEN`, or nothing."""
    return os.environ.get("TELEMETRY_TOKEN", "").strip()


def _environment(name: str) -> str:
    return os.environ.get(f"TELEMETRY_{name}") or os.environ.get(f"PANOPTES_TELEMETRY_{name}", "")
