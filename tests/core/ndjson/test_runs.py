"""Starting and finishing runs: whole, or as if nobody had tried."""

import orjson
import pytest

from telemetry_core.errors import (
    InvalidRunError,
    NoActiveRunError,
    RunActiveError,
    StorageFullError,
)
from telemetry_core.ndjson.layout import Layout
from telemetry_core.ndjson.runfile import read_run
from telemetry_core.testing.samples import data_of, make_run, stop, stored
from tests.core.ndjson.sites import files_up_to, fill_up, interrupted, line, number, open_site


def test_the_facts_of_a_run_are_readable(site, storage):
    """`run.json` is JSON of one fact a line, and true after the end."""
    run = storage.start_run(make_run("001", observer="Ada"))
    first = number(storage, 1, run_id="001")
    last = number(storage, 2, run_id="001")
    stop(storage, run, status="failed", reason="clouds")
    assert orjson.loads((site / "001" / "run.json").read_bytes()) == {
        "run_id": "001",
        "started_at": "2026-03-18T00:00:00.000Z",
        "stopped_at": "2026-03-18T06:00:00.000Z",
        "status": "failed",
        "reason": "clouds",
        "meta": {"run_id": "001", "observer": "Ada"},
        "events": 2,
        "first_seq": first.seq,
        "last_seq": last.seq,
    }


def test_a_run_is_kept_where_it_asked_for(site, storage):
    """Below directories that are made for it, and found again there."""
    run = storage.start_run(make_run("M42", directory="2026/03/M42"))
    number(storage, 1, run_id="M42")
    stop(storage, run)
    assert (site / "2026" / "03" / "M42" / "run.json").exists()
    storage.start_run(make_run("M42"))
    number(storage, 2, run_id="M42")
    assert data_of(storage, run="M42") == [1, 2]


@pytest.mark.parametrize(
    "directory",
    ["/tmp/x", "..", "a/../b", "~/x", ".telemetry", "site_x", "a\\b", "a//..", "001/x"],
)
def test_no_run_lies_where_it_must_not(site, storage, directory):
    """Outside of the site directory, under a name of ours, or inside of another run."""
    stop(storage, storage.start_run(make_run("001")))
    before = sorted(site.rglob("*"))
    with pytest.raises(InvalidRunError) as refused:
        storage.start_run(make_run("002", directory=directory))
    assert refused.value.problems[0].path in {"$.run_dir", "$.run_id"}
    assert sorted(site.rglob("*")) == before


def test_no_run_lies_behind_a_symbolic_link(site, storage, tmp_path):
    """It could lie anywhere."""
    (tmp_path / "elsewhere").mkdir()
    (site / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidRunError, match="symbolic link"):
        storage.start_run(make_run("001", directory="link/001"))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_run_without_facts_is_lost(site, storage):
    """Its end was never recorded; its lines say what there is to say."""
    (site / "old").mkdir()
    (site / "old" / "telemetry.ndjson").write_bytes(line(1) + line(2, "2026-03-18T19:00:00.000Z"))
    (run,) = storage.runs()
    assert (run.run_id, run.status, run.first_seq, run.last_seq) == ("old", "lost", 1, 2)
    assert (run.started_at, run.stopped_at) == (
        "2026-03-18T18:00:00.000Z",
        "2026-03-18T19:00:00.000Z",
    )


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"run_id":7}', b"\xff", b'{"meta":5}'])
def test_one_unreadable_run_hides_no_other(site, storage, caplog, text):
    """It is told, and counts as lost if it has lines."""
    for run_id in ("001", "002"):
        run = storage.start_run(make_run(run_id))
        number(storage, run_id, run_id=run_id)
        stop(storage, run)
    (site / "001" / "run.json").write_bytes(text)
    assert {run.run_id: run.status for run in storage.runs()} == {"001": "lost", "002": "completed"}
    assert f"{site / '001' / 'run.json'} cannot be read" in caplog.text
    assert data_of(storage) == ["001", "002"]


def test_a_start_without_room_leaves_nothing(small_disk):
    """No run is active, no directory is left, and the next id is what it was."""
    site = small_disk / "site"
    with open_site(site) as storage:
        number(storage, 1)
        ballast = fill_up(small_disk)
        before = sorted(site.rglob("*"))
        with pytest.raises(StorageFullError):
            storage.start_run(make_run("001", note="x" * 5000))
        assert sorted(site.rglob("*")) == before
        assert storage.active_run() is None
        assert storage.next_run_id() == "001"
        ballast.unlink()
        storage.start_run(make_run("001"))
        number(storage, 2, run_id="001")
        assert data_of(storage) == [1, 2]


def test_a_stop_without_room_leaves_the_run_active(site, storage):
    """And takes its events until somebody can stop it."""
    run = storage.start_run(make_run("001", note="x" * 5000))
    number(storage, 1, run_id="001")
    with files_up_to(2000), pytest.raises(StorageFullError):
        stop(storage, run)
    assert storage.active_run().run_id == "001"
    number(storage, 2, run_id="001")
    assert stop(storage, run).events == 2
    assert read_run(Layout(site), site / "001").events == 2


@pytest.mark.usefixtures("tidying_up")
def test_an_interrupted_start_or_stop_leaves_no_two_runs(site, storage):
    """Wherever a Ctrl-C comes, what the storage says is what a restart will find."""

    def start_and_stop(n):
        stop(storage, storage.start_run(make_run("001", n=n)))

    for n in interrupted(start_and_stop):
        active = storage.active_run()
        with open_site(site, read_only=True) as reader:
            assert reader.active_run() == active
        with pytest.raises(RunActiveError if active else NoActiveRunError):
            storage.start_run(make_run("other")) if active else stop(storage, make_run("other"))
        if active is not None:
            number(storage, n, run_id=active.run_id)
            stop(storage, active)
        number(storage, f"site {n}")
        assert [run for run in storage.runs() if run.is_active] == []
    assert n > 20
    history = stored(storage)
    storage.close()
    with open_site(site) as again:
        assert again.active_run() is None
        assert stored(again) == history
