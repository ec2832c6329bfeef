"""What can be chosen when a site directory is opened."""

from __future__ import annotations

from pathlib import Path

from attrs import field, frozen, validators

from telemetry_core.clock import local_zone
from telemetry_core.plugins import url_path

OS = "os"
INTERVAL = "interval"
ALWAYS = "always"


@frozen(kw_only=True)
class NdjsonSettings:
    """
    Where the site directory is, and how it is kept.

    `timezone` is the IANA name of the site's zone, whose local noon begins a new file; without it
    the machine's own. `durability` says when lines reach the disk itself: `os` when the system
    likes, `interval` at least every `sync_interval_s` seconds, `always` before a call returns.
    `max_event_bytes` is the largest event as JSON text.

    What is old is kept unless one of these is set: `keep_days` removes past days and stopped runs
    that ended longer ago; `keep_bytes` the oldest of them while all lines take more blocks of the
    disk than that; `keep_percent` while more of the disk than that is used. What holds the last
    value of a type is never removed.
    """

    url: str
    read_only: bool = False
    timezone: str | None = None
    durability: str = field(default=INTERVAL, validator=validators.in_((OS, INTERVAL, ALWAYS)))
    sync_interval_s: float = field(default=1.0, validator=validators.gt(0))
    max_event_bytes: int = field(default=256 * 1024, validator=validators.ge(64))
    keep_days: float | None = field(default=None, validator=validators.optional(validators.gt(0)))
    keep_bytes: int | None = field(default=None, validator=validators.optional(validators.ge(0)))
    keep_percent: float | None = field(
        default=None,
        validator=validators.optional(validators.and_(validators.gt(0), validators.lt(100))),
    )

    def __attrs_post_init__(self) -> None:
        local_zone(self.timezone)

    @property
    def site_dir(self) -> Path:
        """The site directory, as an absolute path."""
        return Path(url_path(self.url)).expanduser().absolute()
