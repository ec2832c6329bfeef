"""The ids of the latest events: what is remembered, and for how long."""

import pytest

from telemetry_core.ndjson.ids import MAX_IDS, Ids
from telemetry_core.testing import make_draft
from tests.core.ndjson.sites import append, number, open_site


@pytest.fixture
def path(tmp_path):
    """Return the path of the file of ids."""
    return tmp_path / "ids.ndjson"


def test_an_id_is_known_after_it_was_saved(path):
    """And not before: until then it is in the lines that a start reads."""
    ids = Ids(path)
    ids.add("a", 1)
    assert ids.seq_of("a") == 1
    assert Ids(path).seq_of("a") is None
    ids.save()
    assert Ids(path).seq_of("a") == 1


def test_the_oldest_ids_are_forgotten(path):
    """So many are kept, and no more, also when they come back from the file."""
    ids = Ids(path)
    for seq in range(1, MAX_IDS + 3):
        ids.add(str(seq), seq)
    ids.save()
    for one in (ids, Ids(path)):
        found = [one.seq_of(str(seq)) for seq in (1, 2, 3, MAX_IDS + 2)]
        assert found == [None, None, 3, MAX_IDS + 2]


def test_the_file_of_ids_does_not_grow_for_ever(path):
    """It is written anew with those that are kept."""
    ids = Ids(path)
    for turn in range(3):
        for n in range(MAX_IDS):
            ids.add(f"{turn} {n}", turn * MAX_IDS + n)
        ids.save()
        assert path.read_bytes().count(b"\n") <= 2 * MAX_IDS + 10
    again = Ids(path)
    assert again.seq_of("2 0") == 2 * MAX_IDS
    assert again.seq_of("1 0") is None


def test_a_damaged_line_costs_its_id(path, caplog):
    """Also one that was torn: the next save begins on a line of its own."""
    ids = Ids(path)
    ids.add("a", 1)
    ids.save()
    with path.open("ab") as file:
        file.write(b'[2,"b')
    ids.add("c", 3)
    ids.save()
    with path.open("ab") as file:
        file.write(b'null\n[1]\n{}\n[1,["x"]]\n["x","d"]\n')
    again = Ids(path)
    assert [again.seq_of(one) for one in "abcd"] == [1, None, 3, None]
    assert "a damaged line" in caplog.text


def test_what_could_not_be_saved_is_saved_the_next_time(path):
    """Nothing is forgotten when there is no room."""
    ids = Ids(path)
    path.mkdir()
    ids.add("a", 1)
    ids.add("b", 2)
    with pytest.raises(OSError, match="directory"):
        ids.save()
    path.rmdir()
    ids.save()
    assert [Ids(path).seq_of(one) for one in "ab"] == [1, 2]


def test_a_retry_is_answered_with_the_stored_event(site):
    """Whatever lies between: a restart, a noon, a run that is over."""
    with open_site(site) as storage:
        first = number(storage, {"a": 1.0}, id="i", meta={"x": 1})
        number(storage, 2, seconds=86400)
    with open_site(site) as storage:
        again = number(storage, {"a": 1.0}, id="i", meta={"x": 2}, seconds=86401)
        assert (again, again.is_duplicate) == (first, True)


def test_an_id_whose_event_is_gone_is_free(site):
    """Its file was removed, so it can be stored again."""
    with open_site(site) as storage:
        number(storage, 1, id="i")
        number(storage, 2, seconds=86400)
        next(site.glob("site_20260318*")).unlink()
        again = number(storage, 1, id="i", seconds=86401)
        assert not again.is_duplicate
        assert number(storage, 1, id="i", seconds=86402).seq == again.seq


def test_ids_beyond_the_latest_are_stored_again(site):
    """How many are remembered is a number that is promised."""
    with open_site(site) as storage:
        number(storage, "old", id="old")
        for start in range(0, MAX_IDS, 1000):
            drafts = [make_draft(data=n, id=f"id {n}") for n in range(start, start + 1000)]
            append(storage, *drafts)
        assert not number(storage, "old", id="old").is_duplicate
        last = MAX_IDS - 1
        assert number(storage, last, id=f"id {last}").is_duplicate
