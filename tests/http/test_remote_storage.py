"""A running service is a storage to read from, so its site can be copied by its URL."""

import threading

import pytest
from attrs import evolve

import telemetry_core
from telemetry_core import (
    Run,
    Selection,
    StorageClosedError,
    StorageReadOnlyError,
    StorageUnavailableError,
    UnsupportedError,
)
from telemetry_http import TelemetryClient
from telemetry_migrate import copy
from telemetry_migrate.errors import DivergedError


@pytest.fixture
def client(server):
    """Speaks to the service."""
    with TelemetryClient(base_url=server.url) as client:
        yield client


@pytest.fixture
def full(client):
    """A site with a bit of everything: runs, one of them active, ids, ephemeral values."""
    client.post_event("weather", {"sky": "clear", "n": 2**64 - 1, "x": 1e-7}, id="one")
    client.start_run(run_id="001", meta={"target": "M42"})
    client.post_event("power", [1, None, "é\u2028"])
    client.post_event("weather", 2, stream="site")
    client.stop_run(status="failed", reason="clouds")
    client.start_run(run_id="002")
    client.post_event("door", "open", store_permanently=False)
    client.post_event("power", "old", make_current=False, ts="2020-01-01T00:00:00Z")
    return client


@pytest.fixture
def storage(server):
    """The storage at the URL of the service."""
    with telemetry_core.open(server.url, read_only=True) as recorder:
        yield recorder.storage


def envelopes(events):
    """Return the five keys of each event."""
    return [(one.seq, one.ts, one.type, one.data, dict(one.meta)) for one in events]


def site_of(server):
    """Open the site directory of the service to be read."""
    return telemetry_core.open(server.site_dir, read_only=True)


def facts(runs):
    """Return the *runs* without the place each has."""
    return [evolve(run, directory=None) for run in runs]


def test_it_reads_what_the_service_has(server, full, storage):
    """Events, what is current, and runs are those of the site, whatever is selected."""
    with site_of(server) as site:
        for chosen in [
            Selection(),
            Selection(types=("weather",)),
            Selection(run="001"),
            Selection(stream="site", last=1),
            Selection(after=2, limit=1),
            Selection(until="2021-01-01T00:00:00Z"),
        ]:
            assert envelopes(storage.read(chosen)) == envelopes(site.storage.read(chosen))
        assert facts(storage.runs()) == facts(site.runs())
        assert storage.active_run().run_id == "002"
        assert storage.wait(0, timeout=0) == site.storage.wait(0, timeout=0)
    found = storage.current()
    assert {type_: event.data for type_, event in found.items()} == {
        type_: event.data for type_, event in full.current().items()
    }
    assert [type_ for type_, event in found.items() if not event.store_permanently] == ["door"]


def test_a_service_is_copied_whole(server, full, tmp_path):
    """Numbers, runs, current values: the copy is the site, and goes on where it ended."""
    report = copy(server.url, tmp_path / "copy", verify=True)
    assert (report.written, report.runs, report.is_verified) == (4, 2, True)
    full.post_event("weather", 3)
    full.stop_run()
    assert copy(f"{server.url}/", tmp_path / "copy", verify=True).written == 1
    with (
        telemetry_core.open(tmp_path / "copy", read_only=True) as found,
        site_of(server) as site,
    ):
        assert envelopes(found.history()) == envelopes(site.history())
        assert facts(found.runs()) == facts(site.runs())
        assert {name: one.seq for name, one in found.current().items()} == {
            name: one.seq for name, one in full.current().items()
        }


def test_a_service_that_is_being_written_is_copied(server, client, tmp_path):
    """What comes meanwhile is copied by the next call, nothing twice, nothing missed."""
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            client.post_event("weather", number, make_current=number % 3 != 0)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        written = [copy(server.url, tmp_path / "copy").written for _ in range(5)]
    finally:
        stop.set()
        writer.join()
    copy(server.url, tmp_path / "copy", verify=True)
    assert sum(written) > 0
    with telemetry_core.open(tmp_path / "copy", read_only=True) as found, site_of(server) as site:
        assert envelopes(found.history()) == envelopes(site.history())
        assert found.current()["weather"].seq == client.current()["weather"].seq


class _Racing(TelemetryClient):
    """Something is recorded before and after it asks what is current."""

    def current(self, **given):
        """Ask in between."""
        self.post_event("weather", "before")
        found = super().current(**given)
        self.post_event("weather", "after")
        return found


def test_what_is_current_belongs_to_the_last_event_that_is_read(server, client, storage):
    """What was recorded since is left to another time, so no event is said to be past too early."""
    client.post_event("weather", "first")
    storage.close()
    storage._client = _Racing(base_url=server.url)  # noqa: SLF001  # the race, made sure of
    found = [(event.data, event.make_current) for event in storage.read()]
    assert found == [("first", False), ("before", True)]


def test_a_service_with_other_events_is_not_the_original(server, client, tmp_path):
    """A target that holds something else under those numbers is left alone."""
    client.post_event("weather", 1)
    with telemetry_core.open(tmp_path / "other") as recorder:
        recorder.record("weather", 2)
    with pytest.raises(DivergedError, match="another event 1"):
        copy(server.url, tmp_path / "other")


@pytest.mark.usefixtures("full")
def test_a_service_can_be_added_to_a_site(server, tmp_path):
    """As `site:URL` its events are recorded anew, once."""
    with telemetry_core.open(tmp_path / "mine") as recorder:
        recorder.record("weather", "mine")
    for written in (4, 0):
        assert copy(f"site:{server.url}", tmp_path / "mine").written == written


def test_it_waits_for_what_comes(client, storage):
    """`wait` returns once something was recorded, and at once when it was before."""
    threading.Timer(0.1, client.post_event, ("weather", 1)).start()
    assert storage.wait(0, timeout=30) == 1
    assert storage.wait(0) == 1


def test_nothing_is_written_through_it(server, storage):
    """Recording is what the client is for, and the errors say so."""
    with pytest.raises(UnsupportedError, match="TelemetryClient"):
        telemetry_core.open(server.url)
    run = Run(run_id="001", started_at="2026-03-18T00:00:00.000Z")
    for call in (
        lambda: storage.append([], 0),
        lambda: storage.start_run(run),
        lambda: storage.finish_run(run),
        storage.check_writable,
    ):
        with pytest.raises(StorageReadOnlyError, match=r"127\.0\.0\.1"):
            call()
    storage.flush()


def test_after_closing_it_says_so(storage):
    """Every question is refused, and closing twice is fine."""
    storage.close()
    storage.close()
    for call in (storage.current, storage.flush, lambda: list(storage.read())):
        with pytest.raises(StorageClosedError):
            call()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://127.0.0.1:1"])
def test_no_service_there_is_an_error(url):
    """It is the one of a storage that cannot be used."""
    with pytest.raises(StorageUnavailableError, match=r"127\.0\.0\.1:1"):
        telemetry_core.open(url, read_only=True)


def test_a_url_of_nothing_is_an_error():
    """It is found before anything is asked."""
    with pytest.raises(StorageUnavailableError, match="no URL of a service"):
        telemetry_core.open("http:nowhere", read_only=True)


def test_a_service_that_goes_away_is_an_error(server, client, storage):
    """Whoever reads does not take what came until then for all."""
    client.post_event("weather", 1)
    assert len(list(storage.read())) == 1
    server.kill()
    for call in (lambda: list(storage.read()), storage.current, lambda: list(storage.runs())):
        with pytest.raises(StorageUnavailableError):
            call()


def test_an_answer_of_something_else_is_an_error(server):
    """A server of another kind is no empty site."""
    with pytest.raises(StorageUnavailableError, match="404"):
        telemetry_core.open(f"{server.url}/elsewhere", read_only=True)
