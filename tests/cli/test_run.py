"""`telemetry run`: what it says, what it records, and what ends it."""

import json
import re
import signal
import socket
import time
from http.client import HTTPConnection
from zoneinfo import ZoneInfo

import pytest

from telemetry_core.clock import observing_day


def _ask(port, path, method="GET"):
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_well(commands, number):
    """Ctrl-C and SIGTERM are how it is meant to end: exit code 0, nothing on stdout."""
    running = commands.serve().running

    assert 0 == running.end(number)
    assert "" == running.out
    assert running.err.endswith("\nstopped\n")


def test_it_says_where_it_listens_and_records(commands, tmp_path):
    """Five lines on stderr, of which one can be pasted."""
    service = commands.serve()

    assert [
        f"listening on  http://localhost:{service.port}",
        f"recording to  {tmp_path}/site",
        "collecting    nothing",
        f"try           curl http://localhost:{service.port}/current",
        "Ctrl-C ends it",
    ] == service.running.err.splitlines()


def test_port_0_takes_a_free_port(commands):
    """And says which one."""
    service = commands.serve(port=0)
    assert service.port
    assert {"ok": True} == _ask(service.port, "/health")


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_a_loopback_host_is_served(commands, telemetry, host, shown):
    """By its own address."""
    service = commands.serve("--host", host)

    assert f"listening on  http://{shown}:{service.port}\n" in service.running.err
    assert 0 == telemetry("record", "a", "1", "--host", host, *service.at).code


def test_the_environment_says_where(commands, telemetry, tmp_path, eventually):
    """Host, port and directory, in the names of before too."""
    running = commands.start(
        "run",
        PANOPTES_TELEMETRY_HOST="127.0.0.1",
        TELEMETRY_PORT="0",
        PANOPTES_TELEMETRY_SITE_DIR=str(tmp_path / "elsewhere"),
    )
    port = eventually(lambda: running.port)

    assert f"listening on  http://127.0.0.1:{port}\n" in running.err
    assert f"recording to  {tmp_path}/elsewhere\n" in running.err
    assert 0 == telemetry("record", "a", "1", "--port", port).code


def test_a_variable_gives_way_to_a_storage(commands, tmp_path):
    """`--storage` on the command line is meant, whatever the environment names."""
    running = commands.start(
        *("run", "--port", 0, "--storage", "memory:", "--startup-timeout", 0.000001),
        TELEMETRY_SITE_DIR=str(tmp_path / "site"),
    )
    assert 1 == running.process.wait(20)
    assert not (tmp_path / "site").exists()


def test_collectors_are_recorded(commands, telemetry, eventually):
    """Every --every seconds, and into the site stream where --site-type says so."""
    service = commands.serve(
        *("--collect", "host", "--every", "0.1", "--site-type", "host.cpu"),
    )
    telemetry("runs", "start", "M42", *service.at)

    def seqs():
        current = _ask(service.port, "/current")["current"]
        return {type_: current[type_]["seq"] for type_ in sorted(current)}

    first = eventually(seqs)
    eventually(lambda: len(seqs()) >= 4 and all(seqs()[type_] > first[type_] for type_ in first))
    current = _ask(service.port, "/current")["current"]
    assert {} == current["host.cpu"]["meta"]
    eventually(
        lambda: {"run_id": "M42"} == _ask(service.port, "/current/host.memory")["meta"],
    )
    assert "collecting    host every 0.1 s\n" in service.running.err


def test_the_heartbeat_says_that_it_runs(commands, telemetry, eventually):
    """The last seq, how many types are current, and the run."""
    service = commands.serve("--heartbeat", "0.05")
    beat = r"^20\S+Z running: last seq {}, {} types, {}$"

    def says(*facts):
        return re.search(beat.format(*facts), service.running.err, re.MULTILINE)

    eventually(lambda: says(0, 0, "no run"))
    telemetry("record", "weather", "1", *service.at)
    telemetry("runs", "start", "M42", *service.at)
    eventually(lambda: says(1, 1, "run M42"))


def test_verbose_shows_the_requests(commands, eventually):
    """On stderr, like every message."""
    service = commands.serve("--verbose")
    _ask(service.port, "/health")

    eventually(lambda: "GET /health 200 " in service.running.err)
    assert 0 == service.running.end()
    assert "" == service.running.out


def test_another_storage_is_served(commands, telemetry, eventually):
    """By its URL, and nothing is made in the directory."""
    running = commands.start("run", "--port", 0, "--storage", "memory:")
    port = eventually(lambda: running.port)

    assert "recording to  memory:\n" in running.err
    assert 0 == telemetry("record", "a", "1", "--port", port).code
    assert {"out", "err"} == {path.name for path in running.out_path.parent.iterdir()}


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_noon_in_the_time_zone_begins_a_file(commands, telemetry, zone):
    """The two zones are 26 hours apart, so at no time do they agree on the day."""
    service = commands.serve("--timezone", zone, "--durability", "always")
    before = observing_day(time.time_ns(), ZoneInfo(zone))
    telemetry("record", "a", "1", *service.at)
    after = observing_day(time.time_ns(), ZoneInfo(zone))

    (path,) = service.site_dir.glob("site_*.ndjson")
    assert path.name in {f"site_{before}.ndjson", f"site_{after}.ndjson"}


def test_what_was_recorded_is_there_after_a_restart(commands, telemetry):
    """Current values and the active run, also after SIGTERM."""
    service = commands.serve()
    telemetry("record", "weather", '{"sky": "clear"}', *service.at)
    telemetry("runs", "start", "M42", *service.at)
    service.running.end()
    again = commands.serve()

    assert {"sky": "clear"} == telemetry("current", "weather", "--json", *again.at).json["data"]
    assert "M42" == telemetry("runs", "show", "--json", *again.at).json["run_id"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--storage", "nope://x"), 2, "no storage named 'nope'; installed: 'http', 'https'"),
        (("--host", "192.0.2.1"), 2, "'192.0.2.1' is not a loopback address"),
        (("--host", "0.0.0.0"), 2, "'0.0.0.0' is not a loopback address"),
        (("--timezone", "Nowhere"), 2, "no time zone named 'Nowhere'"),
        (("--durability", "maybe"), 2, "'maybe' is not one of 'os', 'interval', 'always'"),
        (("--site-dir", "a", "--storage", "memory:"), 2, "either --site-dir or --storage"),
        (("--storage", "memory:", "--timezone", "UTC"), 2, "memory: no field named 'timezone'"),
        (("--collect", "nope"), 2, "no collector named 'nope'; installed: 'host'"),
        (("--every", "0"), 2, "'--every': 0"),
        (("--heartbeat", "-1"), 2, "'--heartbeat': -1"),
        (("--port", "65536"), 2, "65536 is not in the range"),
        (("--site-dir", "/proc/nowhere"), 4, "the storage '/proc/nowhere' cannot be used"),
        (("--startup-timeout", "0.000001"), 1, "gave up: the service was not ready in time"),
    ],
)
def test_what_cannot_be_started_is_told(telemetry, tmp_path, words, code, said):
    """In one line, with its exit code, and nothing is left behind for it."""
    done = telemetry("run", "--port", 0, *words)

    assert (code, "") == (done.code, done.out)
    assert said in done.err
    assert "Traceback" not in done.err
    if code == 2:
        assert [] == list(tmp_path.iterdir())


def test_a_port_in_use_is_told_before_anything_is_made(telemetry, tmp_path):
    """With a code of its own, and no site directory."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = telemetry("run", "--port", port, "--host", "127.0.0.1")

    assert (5, "") == (done.code, done.out)
    assert f"port {port} of '127.0.0.1' is in use" in done.err
    assert [] == list(tmp_path.iterdir())


def test_a_directory_in_use_names_its_writer(commands, telemetry):
    """By its pid."""
    service = commands.serve()
    done = telemetry("run", "--port", 0, "--site-dir", service.site_dir)

    assert (5, "") == (done.code, done.out)
    assert f"is being written by process {service.running.process.pid}" in done.err
