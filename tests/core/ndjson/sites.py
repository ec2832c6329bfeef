"""What the tests of the NDJSON storage share: opening, appending at an instant, reading lines."""

import collections
import contextlib
import itertools
import resource
import sys
from pathlib import Path

import orjson
import pytest

import telemetry_core.ndjson
from telemetry_core.clock import NS, format_ts, instant_ns
from telemetry_core.ndjson import NdjsonSettings, NdjsonStorage
from telemetry_core.testing import make_draft

T0 = instant_ns("2026-03-18T18:00:00Z")
DAY = "site_20260318.ndjson"
NDJSON = str(Path(telemetry_core.ndjson.__file__).parent)


def open_site(path, **options):
    """Open the site directory *path*; lines go to the system and no further."""
    chosen = {"timezone": "UTC", "durability": "os", **options}
    return NdjsonStorage(NdjsonSettings(url=str(path), **chosen))


def at(seconds):
    """Return the instant so many *seconds* after T0, in nanoseconds."""
    return T0 + int(seconds * NS)


def ts_at(seconds):
    """Return the instant so many *seconds* after T0 as text."""
    return format_ts(at(seconds))


def append(storage, *drafts, seconds=0.0):
    """Append *drafts* as one batch that is recorded so many *seconds* after T0."""
    return storage.append(drafts, at(seconds))


def number(storage, value, *, seconds=0.0, **wishes):
    """Append one event whose data is *value*, and return it."""
    (event,) = append(storage, make_draft(data=value, **wishes), seconds=seconds)
    return event


def lines_of(path):
    """Return what stands in the lines of the file *path*, all of which are whole."""
    text = path.read_bytes()
    assert text.endswith(b"\n") or not text
    return [orjson.loads(line) for line in text.splitlines()]


def seqs_in(path):
    """Return the seqs of the lines of the file *path*."""
    return [line["seq"] for line in lines_of(path)]


def line(seq, ts="2026-03-18T18:00:00.000Z", **fields):
    """Return a line as the storage writes it."""
    values = {"seq": seq, "ts": ts, "type": "weather", "data": seq, "meta": {}, **fields}
    return orjson.dumps(values) + b"\n"


def snapshot(storage):
    """Return the seq of the current event of each type."""
    return {type_: event.seq for type_, event in storage.current().items()}


@contextlib.contextmanager
def files_up_to(size):
    """Let no file grow beyond *size* bytes: a write fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill_up(disk):
    """Leave no room on the disk that the directory *disk* is on; return the file that takes it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        collections.deque(map(file.write, itertools.repeat(bytes(4096))), maxlen=0)
    return ballast


class Interrupt:
    """
    A Ctrl-C at the *n*th moment at which this thread, inside of the storage, could get one.

    Python raises it where a function begins, or behind a call of one that is written in C.
    """

    def __init__(self, n):
        self._left = n
        self.has_come = False

    def __enter__(self):
        """Begin to count."""
        self._before = sys.getprofile()
        sys.setprofile(self._look)
        return self

    def __exit__(self, *_):
        """Count no more; the Ctrl-C itself is let through to nobody."""
        sys.setprofile(self._before)
        return isinstance(_[1], KeyboardInterrupt)

    def _look(self, frame, event, _):
        if event not in {"call", "c_return"} or not frame.f_code.co_filename.startswith(NDJSON):
            return
        self._left -= 1
        if self._left == 0:
            self.has_come = True
            sys.setprofile(None)
            raise KeyboardInterrupt


def interrupted(call):
    """Make *call* once for each moment at which it can be interrupted, and once to its end."""
    n = 0
    while True:
        n += 1
        with Interrupt(n) as interrupt:
            call(n)
        yield n
        if not interrupt.has_come:
            return
