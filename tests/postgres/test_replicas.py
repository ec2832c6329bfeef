"""Several services on one database: whoever is asked, the answer is the same."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest

from telemetry_core import Recorder
from telemetry_core.clock import NS
from telemetry_http.leases import LEASE, Leases
from tests.ports import lasting_port
from tests.postgres.replicas import PATIENCE_S, TELEMETRY, Service, ask, children_of, until

PAGE = Path(__file__).parents[2] / "docs" / "postgresql.md"


@pytest.fixture
def url(server, site):
    """The URL of a new site."""
    return f"{server.url()}?site={quote(site)}"


@pytest.fixture
def two(url, tmp_path):
    """Two services, each on a port of its own."""
    with Service(url, tmp_path / "one") as one, Service(url, tmp_path / "other") as other:
        yield one, other


class Client:
    """A thread that follows a stream, and comes again behind the last id when it ends."""

    def __init__(self, ports):
        self._ports = ports
        self._is_over = False
        self.seqs = []
        self.runs = []
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def until_at(self, seq):
        """Return the seqs that came, once *seq* is among them."""
        until(lambda: self.seqs and self.seqs[-1] >= seq)
        return self.seqs

    def stop(self):
        """Follow no more."""
        self._is_over = True

    def _follow(self):
        turn = 0
        while not self._is_over:
            turn += 1
            port = self._ports[turn % len(self._ports)]
            after = self.seqs[-1] if self.seqs else 0
            request = f"http://127.0.0.1:{port}/v1/stream?after={after}&heartbeat_s=1"
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE_S) as stream:
                    self._read(stream)
            except (OSError, urllib.error.URLError):
                time.sleep(0.05)

    def _read(self, stream):
        kind = ""
        for line in stream:
            if self._is_over:
                return
            name, _, value = line.decode().strip().partition(": ")
            if name == "event":
                kind = value
            elif name == "data" and kind == "run":
                self.runs.append(json.loads(value))
            elif name == "data":
                self.seqs.append(json.loads(value)["seq"])
            elif not name:
                kind = ""


def test_each_answers_what_the_other_recorded(two):
    """Current values, the active run, and where an event goes: nobody asks which one it was."""
    one, other = two
    one.ask("/event", {"type": "weather", "data": 1})
    assert other.ask("/current")["current"]["weather"]["data"] == 1
    one.ask("/run/start", {"run_id": "M42"})
    inside = other.ask("/event", {"type": "image", "data": 2})
    assert inside["meta"] == {"run_id": "M42"}
    assert other.ask("/v1/runs")["runs"][0]["run_id"] == "M42"
    with pytest.raises(urllib.error.HTTPError) as refused:
        other.ask("/run/start", {"run_id": "M43"})
    assert refused.value.code == 409
    refused.value.close()
    other.ask("/run/stop", {})
    after = one.ask("/event", {"type": "image", "data": 3})
    assert after["meta"] == {}
    assert one.ask("/v1/runs") == other.ask("/v1/runs")
    assert one.ask("/current") == other.ask("/current")


def test_a_stream_tells_of_runs_of_another_replica(two):
    """Their start and their end, each once."""
    one, other = two
    client = Client([other.port])
    try:
        until(lambda: client.runs)
        one.ask("/run/start", {"run_id": "M42"})
        until(lambda: client.runs[-1]["fact"] == "started")
        one.ask("/run/stop", {})
        until(lambda: client.runs[-1]["fact"] == "stopped")
        assert [told["fact"] for told in client.runs] == ["none", "started", "stopped"]
        assert client.runs[-1]["run"]["status"] == "completed"
    finally:
        client.stop()


def test_a_heartbeat_to_any_replica_keeps_a_run(open_storage):
    """The one that would end it looks whether another one heard of its owner."""
    now = 0

    def clock():
        return now

    with Recorder(open_storage()) as one, Recorder(open_storage()) as other:
        one.start_run("M42", meta={LEASE: 10})
        mine, theirs = Leases(one, clock), Leases(other, clock)
        for second in range(5, 50, 5):
            now = second * NS
            theirs.heartbeat("M42")
            mine.check()
            theirs.check()
            assert one.active_run() is not None
        now += 9 * NS
        mine.check()
        assert one.active_run() is not None
        # It looked at most one lease ago, and nobody was heard of since.
        now += 10 * NS
        mine.check()
        assert one.find_run("M42").status == "lost"
        theirs.check()


def test_streams_go_on_while_replicas_are_restarted(url, tmp_path):
    """Three clients follow through a rolling restart and miss nothing."""
    ports = [lasting_port(), lasting_port()]
    services = [Service(url, tmp_path / str(port), port=port) for port in ports]
    clients = [Client(ports), Client(ports[::-1]), Client(ports)]
    recorded = []
    is_over = threading.Event()

    def record():
        turn = 0
        while not is_over.is_set():
            turn += 1
            event = {"type": "weather", "data": turn, "id": f"i{turn}"}
            while True:
                try:
                    recorded.append(ask(ports[turn % 2], "/event", event)["seq"])
                    break
                except (OSError, urllib.error.URLError):
                    turn += 1
                    time.sleep(0.02)

    recording = threading.Thread(target=record, daemon=True)
    recording.start()
    try:
        for n in range(2):
            until(lambda: len(recorded) > 20)
            assert services[n].stop() == 0
            services[n] = Service(url, tmp_path / f"again {n}", port=ports[n])
            before = len(recorded)
            until(lambda before=before: len(recorded) > before + 20)
        is_over.set()
        recording.join(PATIENCE_S)
        for client in clients:
            followed = client.until_at(max(recorded))
            assert followed == sorted(set(followed))
            assert set(recorded) - set(followed) == set()
    finally:
        is_over.set()
        for client in clients:
            client.stop()
        for service in services:
            service.stop()


@pytest.fixture
def nginx(two, tmp_path):
    """The port of an nginx before both services, set up as the documentation says."""
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed; on Debian: apt install nginx-light")
    port = lasting_port()
    (block,) = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for shown, real in ((6562, two[0].port), (6563, two[1].port), (8080, port)):
        block = block.replace(f"127.0.0.1:{shown}", f"127.0.0.1:{real}")
    paths = "".join(
        f"{name}_temp_path {tmp_path}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "conf").write_text(
        f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{paths}{block}}}\n"
    )
    with subprocess.Popen(
        ["nginx", "-p", tmp_path, "-c", tmp_path / "conf"], stderr=subprocess.DEVNULL
    ) as process:
        try:
            until(lambda: _answers(port))
            yield port
        finally:
            process.terminate()


def test_a_proxy_may_ask_any_of_them(nginx):
    """Through nginx: current, runs and streams are those of one service."""
    clients = [Client([nginx]), Client([nginx])]
    try:
        seqs = []
        for n in range(20):
            if n == 10:
                ask(nginx, "/run/start", {"run_id": "M42"})
            event = ask(nginx, "/event", {"type": "weather", "data": n})
            seqs.append(event["seq"])
            assert event["meta"] == ({} if n < 10 else {"run_id": "M42"})
            assert ask(nginx, "/current")["current"]["weather"] == event
        for client in clients:
            assert client.until_at(seqs[-1]) == seqs
    finally:
        for client in clients:
            client.stop()


def test_workers_share_a_port(url, tmp_path):
    """Each serves some of the connections, and one that is killed is started again."""
    with Service(url, tmp_path / "log", "--workers", "3") as service:
        workers = children_of(service.process.pid)
        assert len(workers) == 3
        seqs = [service.ask("/event", {"type": "weather", "data": n})["seq"] for n in range(20)]
        assert seqs == list(range(1, 21))
        os.kill(workers[0], signal.SIGKILL)
        until(lambda: len(set(children_of(service.process.pid)) - set(workers[:1])) == 3)
        assert service.ask("/current")["current"]["weather"]["data"] == 19
        assert "is started again" in service.said
        assert service.said.count("listening on") == 1
        assert "telemetry@" not in service.said  # a password might stand behind it
        assert service.stop() == 0
    assert "stopped" in service.said
    assert [pid for pid in workers if _is_there(pid)] == []


def test_workers_end_together(url, tmp_path):
    """`telemetry stop` reaches one of them, and the others end too."""
    with Service(url, tmp_path / "log", "--workers", "2") as service:
        assert service.ask("/shutdown", {}) == {"shutting_down": True}
        assert service.process.wait(PATIENCE_S) == 0


def test_workers_end_with_their_parent(url, tmp_path):
    """Also when it is killed."""
    with Service(url, tmp_path / "log", "--workers", "2") as service:
        workers = children_of(service.process.pid)
        service.process.kill()
        service.process.wait()
        until(lambda: not any(map(_is_there, workers)))


@pytest.mark.parametrize("place", ["memory:", "files"])
def test_workers_are_refused_where_one_writes(place, tmp_path):
    """With the reason, and what would be right."""
    command = [*TELEMETRY, "run", "--port", "0", "--workers", "2", "--storage", place]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 2
    assert "has one writer; give --storage postgresql://" in done.stderr


def _is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _answers(port):
    try:
        ask(port, "/ready")
    except OSError:
        return False
    return True
