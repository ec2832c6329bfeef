"""What is known when a site directory is opened again, whatever became of it meanwhile."""

import shutil

import orjson
import pytest

from telemetry_core.errors import RunActiveError
from telemetry_core.events import make_event
from telemetry_core.ndjson.ids import MAX_IDS
from telemetry_core.ndjson.recovery import State
from telemetry_core.testing.samples import (
    current_data,
    data_of,
    make_draft,
    make_run,
    seqs_of,
    stop,
    stored,
)
from tests.core.ndjson.sites import (
    DAY,
    append,
    at,
    line,
    lines_of,
    number,
    open_site,
    seqs_in,
    snapshot,
)


def fill(storage):
    """Record days, runs, ids, and something that is not to be current."""
    run = storage.start_run(make_run("001"))
    number(storage, "a", type="a", id="a")
    number(storage, "b", type="b", run_id="001", seconds=1)
    stop(storage, run)
    number(storage, "c", type="c", seconds=86400)
    number(storage, "d", type="a", make_current=False, seconds=86401)
    storage.start_run(make_run("002", started_at="2026-03-19T00:00:00.000Z"))
    append(storage, make_draft("b", "e", run_id="002", id="e"), make_draft("c", "f"))


@pytest.fixture
def crashed(site, tmp_path):
    """Return a copy of a site directory as a kill would have left it."""
    with open_site(site) as storage:
        fill(storage)
        copy = tmp_path / "crashed"
        shutil.copytree(site, copy)
    return copy


def facts(storage):
    """Return what is known of the storage without its history."""
    return snapshot(storage), storage.active_run(), list(storage.runs()), storage.wait(0, 0)


def checkpoint_of(site):
    """Return the path of the checkpoint."""
    return site / ".telemetry" / "checkpoint.json"


def lose(site):
    """Remove it."""
    checkpoint_of(site).unlink()


def damage(site):
    """Cut it in the middle."""
    text = checkpoint_of(site).read_bytes()
    checkpoint_of(site).write_bytes(text[: len(text) // 2])


def empty(site):
    """Leave nothing in it, as a power cut may."""
    checkpoint_of(site).write_bytes(b"")


def make_too_new(site):
    """Let a later version have written it."""
    known = orjson.loads(checkpoint_of(site).read_bytes())
    checkpoint_of(site).write_bytes(orjson.dumps({**known, "format": 99, "current": []}))


def forge(site):
    """Let it be JSON, and no checkpoint."""
    checkpoint_of(site).write_bytes(b'{"format":2,"current":[5],"files":[]}')


def lose_everything(site):
    """Remove all that is ours."""
    shutil.rmtree(site / ".telemetry")


def leave(site):
    """Do nothing."""


@pytest.mark.parametrize(
    "become", [leave, lose, damage, empty, make_too_new, forge, lose_everything]
)
def test_a_site_is_what_it_was_whatever_became_of_the_checkpoint(crashed, become):
    """Current values, runs with their counts and ids are those that the lines add up to."""
    become(crashed)
    with open_site(crashed) as storage:
        assert {type_: event.data for type_, event in storage.current().items()} == {
            "a": "a",
            "b": "e",
            "c": "f",
        }
        runs = [(run.run_id, run.status, run.events) for run in storage.runs()]
        assert runs == [("001", "completed", 1), ("002", "active", 1)]
        assert data_of(storage) == ["a", "b", "c", "d", "e", "f"]
        (again,) = append(storage, make_draft("b", "e", run_id="002", id="e"), seconds=90000)
        assert again.is_duplicate
        last = storage.wait(0, 0)
        event = number(storage, "g", run_id="002", seconds=90000)
        assert event.seq > last
        before = facts(storage)
    with open_site(crashed) as storage:
        assert facts(storage) == before


@pytest.mark.parametrize("become", [leave, lose_everything])
def test_a_site_that_was_closed_is_what_it_was(site, become):
    """Also when all that is ours was removed."""
    with open_site(site) as storage:
        fill(storage)
        before = facts(storage)
        history = stored(storage)
    become(site)
    with open_site(site) as storage:
        assert facts(storage) == before
        assert stored(storage) == history


def test_a_start_reads_the_tail_and_no_more(site, caplog):
    """A damaged line that the checkpoint covers is not looked at again, one behind it is."""
    with open_site(site) as storage:
        number(storage, 1)
        number(storage, 2)
    covered = (site / DAY).read_bytes()
    (site / DAY).write_bytes(covered.replace(b'{"seq":1', b'#"seq":1') + b"oops\n" + line(9))
    with open_site(site) as storage:
        assert f"damaged line in {site / DAY} at offset {len(covered)}, 4 bytes" in caplog.text
        assert "offset 0," not in caplog.text
        assert snapshot(storage) == {"weather": 9}
        assert number(storage, 10).seq == 10


def test_what_was_known_of_a_cut_file_is_forgotten(site, caplog):
    """The lines count, not what the checkpoint says of lines that are gone."""
    with open_site(site) as storage:
        first = number(storage, 1, type="a")
        number(storage, 2, type="b")
    (site / DAY).write_bytes((site / DAY).read_bytes().splitlines(keepends=True)[0])
    with open_site(site) as storage:
        assert "reading all lines" in caplog.text
        assert snapshot(storage) == {"a": first.seq}
        assert number(storage, 3).seq > 2


@pytest.mark.parametrize(
    "text",
    [b"", b"\n", b"0000", b"garbage", b"9" * 20 + b"\n", b"\0" * 21, b"0" * 20 + b" 00000000\n"],
)
def test_a_damaged_reservation_gives_no_number_again(site, text):
    """Nobody knows what was given to events that were not stored, so a large gap is left."""
    with open_site(site) as storage:
        number(storage, 1)
        given = [number(storage, n, store_permanently=False).seq for n in range(500)]
        copy = site.with_name("crashed")
        shutil.copytree(site, copy)
    (copy / ".telemetry" / "seq").write_bytes(text)
    with open_site(copy) as storage:
        event = number(storage, 2)
        assert max(given) < event.seq < 2**62
        assert number(storage, 3).seq == event.seq + 1


@pytest.mark.parametrize("name", [DAY, "002/telemetry.ndjson"])
def test_a_torn_tail_is_set_aside(crashed, name, caplog):
    """Before anything is appended, so that nothing is appended to half a line."""
    path = crashed / ("site_20260319.ndjson" if name == DAY else name)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"seq":900,"ts":"2026-03-')
    with open_site(crashed) as storage:
        assert path.read_bytes() == whole
        (aside,) = (crashed / ".telemetry" / "torn").iterdir()
        assert aside.read_bytes() == b'{"seq":900,"ts":"2026-03-'
        assert f"torn line at the end of {path}, offset {len(whole)}, 25 bytes" in caplog.text
        number(storage, 1, run_id="002", seconds=90000)
        assert len(stored(storage)) == 7


def test_a_whole_event_without_a_line_break_gets_one(crashed):
    """It had been handed over completely but for one byte."""
    path = crashed / "site_20260319.ndjson"
    path.write_bytes(path.read_bytes() + line(900, data="last")[:-1])
    with open_site(crashed) as storage:
        assert current_data(storage)["weather"] == "last"
        assert number(storage, 1, seconds=90000).seq > 900
        assert [one["data"] for one in lines_of(path)][-2:] == ["last", 1]


def test_damage_in_the_middle_costs_the_damaged_line(crashed, caplog):
    """It is told with file and offset, and stays where it is."""
    path = crashed / "site_20260319.ndjson"
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + b"\xff" + second[1:] + third)
    lose(crashed)
    with open_site(crashed) as storage:
        assert data_of(storage) == ["a", "b", "c", "e", "f"]
        assert f"damaged line in {path} at offset {len(first)}, {len(second) - 1}" in caplog.text
    assert path.read_bytes() == first + b"\xff" + second[1:] + third


@pytest.mark.parametrize(
    "data", [b"1" * 40, b"[" * 300 + b"]" * 300, b'"\\ud800"', b"1e999", b"NaN", b"-0"]
)
def test_no_line_of_somebody_else_keeps_a_site_from_being_opened(site, data):
    """What we could not write down again is passed over at the most."""
    site.mkdir()
    odd = line(2, type="odd").replace(b'"data":2', b'"data":' + data)
    (site / DAY).write_bytes(line(1) + odd + line(3))
    with open_site(site) as storage:
        assert seqs_of(stored(storage))[::2] in ([1, 3], [1])
        assert snapshot(storage)["weather"] == 3
        number(storage, 4)
        assert data_of(storage, types="weather") == [1, 3, 4]
    with open_site(site) as storage:
        assert snapshot(storage)["weather"] > 3


def test_a_rebuild_remembers_no_more_ids_than_are_kept():
    """However many there are in the lines, and in whatever order of files they come."""
    state = State()
    for seq in [*range(MAX_IDS, 3 * MAX_IDS), *range(MAX_IDS)]:
        state.add(make_event(seq, "", "a", b"1", b"{}", str(seq)), is_of_run=False)
        assert len(state.ids) <= 2 * MAX_IDS
    state.keep_latest_ids()
    assert state.ids == [(str(seq), seq) for seq in range(2 * MAX_IDS, 3 * MAX_IDS)]


def test_an_active_run_goes_on_with_its_counts(crashed):
    """Also when the writer died, and events came behind the checkpoint."""
    with open_site(crashed) as storage:
        active = storage.active_run()
        assert (active.run_id, active.events) == ("002", 1)
        with pytest.raises(RunActiveError):
            storage.start_run(make_run("003"))
        number(storage, "g", run_id="002", seconds=90000)
        run = stop(storage, active)
        assert (run.events, run.first_seq) == (2, active.first_seq)


def test_a_start_that_was_interrupted_before_its_facts_never_was(site):
    """The directory and the checkpoint are there, `run.json` is not."""
    with open_site(site) as storage:
        number(storage, 1)
        storage.start_run(make_run("001"))
        copy = site.with_name("crashed")
        shutil.copytree(site, copy)
    (copy / "001" / "run.json").unlink()
    with open_site(copy) as storage:
        assert storage.active_run() is None
        assert list(storage.runs()) == []
        storage.start_run(make_run("001"))
        number(storage, 2, run_id="001")
        assert data_of(storage) == [1, 2]


def test_a_stop_that_was_interrupted_before_its_facts_never_was(crashed):
    """The run is active still, and can be stopped."""
    with open_site(crashed) as storage:
        assert stop(storage, storage.active_run()).status == "completed"
        assert storage.active_run() is None
    with open_site(crashed) as storage:
        assert [run.status for run in storage.runs()] == ["completed", "completed"]


def test_an_ephemeral_value_is_known_as_of_the_last_checkpoint(site):
    """After closing it is there; after a kill it may be gone, and its number stays taken."""
    with open_site(site) as storage:
        number(storage, "kept", type="status", store_permanently=False)
    with open_site(site) as storage:
        assert current_data(storage) == {"status": "kept"}
        lost = number(storage, "lost", type="status", store_permanently=False)
        copy = site.with_name("crashed")
        shutil.copytree(site, copy)
    with open_site(copy) as storage:
        assert current_data(storage) == {"status": "kept"}
        assert number(storage, 1).seq > lost.seq


def test_a_day_that_began_behind_the_checkpoint_is_found(site):
    """A file that was not named, of a later day, is read from its beginning."""
    with open_site(site) as storage:
        number(storage, 1)
    (site / "site_20260319.ndjson").write_bytes(line(700) + line(701, type="dome"))
    with open_site(site) as storage:
        assert snapshot(storage) == {"weather": 700, "dome": 701}
        assert storage.append([make_draft()], at(86400))[0].seq == 702
        assert seqs_in(site / "site_20260319.ndjson") == [700, 701, 702]
