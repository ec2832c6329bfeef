"""A PostgreSQL server of our own: on a temporary directory and port, as a user without rights."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from tests.ports import lasting_port

START_S = 40
_DEBIAN = "/usr/lib/postgresql/*/bin"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "32MB",
    # A killed process loses nothing that the system has; only a power cut would need the disk.
    "fsync": "off",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "autovacuum": "off",
}


def find_bin():
    """Return the directory of the newest server that is installed, or `None`."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent  # where the programs beside it are, too
    found = sorted(Path("/").glob(_DEBIAN.lstrip("/")), key=lambda path: int(path.parent.name))
    return next((path for path in reversed(found) if (path / "initdb").exists()), None)


class Server:
    """A server: started, killed and started again as a test likes."""

    def __init__(self, bin_dir, **settings):
        self._bin = bin_dir
        self._user = _unprivileged()
        self.place = Path(tempfile.mkdtemp(prefix="telemetry-postgres-", dir="/tmp"))
        if self._user is not None:
            os.chown(self.place, self._user.pw_uid, self._user.pw_gid)
        self.data = self.place / "data"
        self.port = lasting_port()
        self._settings = {**_SETTINGS, **settings}
        self._process = None

    @property
    def address(self):
        """Where it listens, as it stands in a URL."""
        return f"127.0.0.1:{self.port}"

    def url(self, database="postgres"):
        """Return the URL of a database."""
        return f"postgresql://telemetry@{self.address}/{database}"

    def make(self):
        """Make its files."""
        self._run(
            "initdb", "-D", self.data, "-U", "telemetry", "-A", "trust", "-E", "UTF8",
            "--locale=C", "--no-sync",
        )  # fmt: skip
        return self

    def follow(self, primary, name):
        """Make its files as those of a standby of *primary*, with that *name*."""
        self._run(
            "pg_basebackup", "-D", self.data, "-d", f"{primary.url()}?application_name={name}",
            "-R", "-X", "stream", "--no-sync", "--checkpoint=fast",
        )  # fmt: skip
        return self

    def start(self, *, wait=True):
        """Start it, and return once it answers."""
        given = {**self._settings, "port": self.port, "unix_socket_directories": self.place}
        options = [part for name, value in given.items() for part in ("-c", f"{name}={value}")]
        with (self.place / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.data, *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as_user(),
            )
        if wait:
            self.until_ready()
        return self

    def until_ready(self):
        """Return once it answers."""
        deadline = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise AssertionError((self.place / "log").read_text()) from None
                time.sleep(0.05)
            else:
                return

    def execute(self, *statements, database="postgres"):
        """Execute *statements*, each of them alone, and return the rows of the last one."""
        with psycopg.connect(self.url(database), autocommit=True) as link:
            for statement in statements:
                cursor = link.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def promote(self):
        """Make a standby the one that is written."""
        self.execute("SELECT pg_promote(true, 30)")

    def kill(self):
        """Kill every process of it at once, as `kill -9` does."""
        if self._process is None:
            return
        children = _children(self._process.pid)
        for pid in [self._process.pid, *children]:
            _kill(pid)
        self._process.wait()
        while any(Path(f"/proc/{pid}").exists() for pid in children):
            time.sleep(0.01)
        self._process = None

    def stop(self):
        """Shut it down, as an operator does."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(START_S)
        self._process = None

    def remove(self):
        """End it and remove its files."""
        self.kill()
        shutil.rmtree(self.place)

    def _run(self, program, *arguments):
        done = subprocess.run(
            [self._bin / program, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **self._as_user(),
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _as_user(self):
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


def _unprivileged():
    """Return who a server may run as, or `None` if that is us: it refuses to run as root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise AssertionError("neither a user postgres nor nobody")


def _children(pid):
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text().split()]


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
