"""Somebody meddles with a file that is being written: it is seen, and nothing more is lost."""

import os

import pytest

from telemetry_core.errors import StorageUnavailableError
from telemetry_core.testing.samples import data_of, make_run, seqs_of, stored
from tests.core.ndjson.sites import DAY, line, lines_of, number, open_site, seqs_in, snapshot


@pytest.fixture(params=["site", "run"])
def stream(request, site, storage):
    """Return the run and the path of a file that is written."""
    if request.param == "site":
        return None, site / DAY
    storage.start_run(make_run())
    return "001", site / "001" / "telemetry.ndjson"


def remove(path):
    """Delete it."""
    path.unlink()


def rename(path):
    """Move it away, as logrotate does."""
    path.rename(path.with_name("rotated"))


def remove_directory(path):
    """Delete it with the directory it stands in, where that is not the site's own."""
    path.unlink()
    if not (path.parent / ".telemetry").exists():
        for other in path.parent.iterdir():
            other.unlink()
        path.parent.rmdir()


def replace_by_empty(path):
    """Put an empty file in its place."""
    path.with_name("new").write_bytes(b"")
    path.with_name("new").replace(path)


def replace_by_torn(path):
    """Put a file in its place that ends in the middle of a line."""
    path.with_name("new").write_bytes(line(1) + b'{"seq":2,"ts')
    path.with_name("new").replace(path)


GONE = [remove, rename, remove_directory, replace_by_empty, replace_by_torn]


@pytest.mark.parametrize("meddle", GONE)
def test_a_file_that_is_gone_is_made_anew(storage, stream, caplog, meddle):
    """What was recorded since the last look is in the new file, and the log says why."""
    run_id, path = stream
    number(storage, "before", run_id=run_id)
    number(storage, "seen", run_id=run_id, seconds=1)
    unseen = number(storage, "unseen", run_id=run_id, seconds=1.001)
    meddle(path)
    blind = number(storage, "blind", run_id=run_id, seconds=1.002)
    after = number(storage, "after", run_id=run_id, seconds=2)
    assert [one for one in seqs_in(path) if one > 2] == [unseen.seq, blind.seq, after.seq]
    assert stored(storage)[-3:] == [unseen, blind, after]
    assert f"{path} was removed, renamed or replaced while it was written" in caplog.text
    caplog.clear()
    number(storage, "more", run_id=run_id, seconds=3)
    assert caplog.text == ""


def test_what_was_renamed_is_not_written_any_more(site, storage):
    """The file that was moved away is somebody else's."""
    number(storage, 1)
    (site / DAY).rename(site / "rotated")
    number(storage, 2, seconds=1)
    rotated = (site / "rotated").read_bytes()
    number(storage, 3, seconds=2)
    assert (site / "rotated").read_bytes() == rotated


def test_an_edited_file_holds_no_event_twice(site, storage):
    """An editor puts a copy in the place of the file, with the lines that were there."""
    first, second = number(storage, 1), number(storage, 2, seconds=1)
    third = number(storage, 3, seconds=1.001)
    (site / "copy").write_bytes((site / DAY).read_bytes())
    (site / "copy").replace(site / DAY)
    fourth = number(storage, 4, seconds=2)
    assert stored(storage) == [first, second, third, fourth]


def test_numbers_go_on_above_those_of_a_file_put_in_place(site, storage):
    """What somebody put there are events of this site; no number of theirs is given again."""
    number(storage, 1)
    (site / "other").write_bytes(line(1) + line(500, type="dome"))
    (site / "other").replace(site / DAY)
    assert number(storage, 2, seconds=1).seq == 501
    assert seqs_in(site / DAY) == [1, 500, 501]
    assert snapshot(storage) == {"dome": 500, "weather": 501}


def test_a_file_that_was_cut_goes_on(storage, stream, caplog):
    """What somebody cut off is gone; half a line is set aside, and the log says so."""
    run_id, path = stream
    first = number(storage, 1, run_id=run_id)
    number(storage, 2, run_id=run_id, seconds=1)
    os.truncate(path, path.stat().st_size - 10)
    after = number(storage, 3, run_id=run_id, seconds=2)
    assert seqs_in(path) == [first.seq, after.seq]
    assert f"{path} was cut from" in caplog.text
    assert "torn line" in caplog.text


def test_an_emptied_file_goes_on(storage, stream):
    """Numbers go on above those that are gone."""
    run_id, path = stream
    number(storage, 1, run_id=run_id)
    last = number(storage, 2, run_id=run_id)
    os.truncate(path, 0)
    after = number(storage, 3, run_id=run_id, seconds=1)
    assert after.seq > last.seq
    assert seqs_in(path) == [after.seq]


def test_lines_that_somebody_added_are_events(storage, stream):
    """They are current and counted, an id of theirs is known, and numbers go on above them."""
    run_id, path = stream
    number(storage, 1, run_id=run_id)
    meta = {} if run_id is None else {"run_id": run_id}
    with path.open("ab") as file:
        file.write(line(7, type="dome", id="i", meta=meta))
    again = number(storage, 7, type="dome", id="i", run_id=run_id, seconds=1)
    assert (again.seq, again.is_duplicate) == (7, True)
    assert number(storage, 8, run_id=run_id, seconds=2).seq == 8
    assert data_of(storage) == [1, 7, 8]
    assert snapshot(storage) == {"dome": 7, "weather": 8}
    if run_id is not None:
        assert storage.active_run().events == 3


def test_a_line_that_cannot_be_written_again_is_never_current(site, storage):
    """Somebody else's may hold what ours may not; recording goes on."""
    number(storage, 1)
    with (site / DAY).open("ab") as file:
        file.write(line(7).replace(b'"meta":{}', b'"meta":{"n":' + b"1" * 40 + b"}"))
    number(storage, 8, type="dome", seconds=1)
    assert snapshot(storage) == {"weather": 1, "dome": 8}


def test_half_a_line_that_somebody_added_is_set_aside(site, storage, stream):
    """What is recorded then begins on a line of its own."""
    run_id, path = stream
    number(storage, 1, run_id=run_id)
    with path.open("ab") as file:
        file.write(b'{"seq":2,"ts":"2026')
    number(storage, 2, run_id=run_id, seconds=1)
    assert [one["data"] for one in lines_of(path)] == [1, 2]
    (aside,) = (site / ".telemetry" / "torn").iterdir()
    assert aside.read_bytes() == b'{"seq":2,"ts":"2026'


def test_a_symbolic_link_in_its_place_is_not_followed(site, storage):
    """Recording is refused until somebody took it away."""
    number(storage, 1)
    (site / DAY).unlink()
    (site / "target").write_bytes(b"")
    (site / DAY).symlink_to(site / "target")
    with pytest.raises(StorageUnavailableError):
        number(storage, 2, seconds=1)
    assert (site / "target").read_bytes() == b""
    (site / DAY).unlink()
    event = number(storage, 3, seconds=2)
    assert stored(storage)[-1] == event


def test_what_was_removed_is_put_back_on_close(site):
    """Also when nothing more is recorded: what was seen last stands in the file."""
    with open_site(site) as storage:
        number(storage, 1)
        last = number(storage, 2, seconds=0.001)
        (site / DAY).unlink()
    assert seqs_in(site / DAY)[-1] == last.seq


def test_readers_find_what_was_put_in_place(site, storage):
    """Nothing known of the old file is taken for true of the new one, however alike they are."""
    number(storage, 0)
    for first in (2000, 6000):
        lines = [line(seq, data=0) for seq in range(first, first + 2600)]
        (site / "other").write_bytes(b"".join(lines))
        (site / "other").replace(site / DAY)
        number(storage, 1, seconds=first)
        middle = first + 1500
        assert seqs_of(stored(storage, after=middle - 1)) == [*range(middle, first + 2601)]
