"""The history as text: blocks as they stand, and the lines that may not be handed on."""

import orjson
import pytest

from telemetry_core.ndjson import passage, reader
from telemetry_core.ndjson.passage import Bounds, Known, Passage, merged
from telemetry_core.storage import Selection
from telemetry_core.testing.samples import make_run
from tests.core.ndjson.sites import DAY, line, number, open_site

REPEATED = line(2) + line(2)


def text_of(storage, **selection):
    """Return all that `read_json` yields."""
    return b"".join(storage.read_json(Selection(**selection)))


def seqs_of(text):
    """Return the seqs of the lines in *text*."""
    return [orjson.loads(each)["seq"] for each in text.splitlines()]


@pytest.mark.parametrize(
    "bad",
    [
        b"oops\n",
        b"\n",
        b'{"seq":3}\n',
        line(3)[:-10] + line(3),
        line(3, data="\xff").replace("\xff".encode(), b"\xff"),
        bytes(100) + b"\n",
        REPEATED,
    ],
    ids=["no JSON", "blank", "fields missing", "torn", "no UTF-8", "zeros", "repeated"],
)
def test_what_is_no_event_is_not_handed_on(site, bad):
    """A damaged line costs itself only, and a repeated one is there once."""
    site.mkdir()
    lines = [line(1), line(2), line(4)]
    (site / DAY).write_bytes(lines[0] + (bad if bad is REPEATED else lines[1] + bad) + lines[2])
    with open_site(site, read_only=True) as storage:
        for _ in range(2):
            assert text_of(storage) == b"".join(lines)
            assert text_of(storage, after=1) == b"".join(lines[1:])


def test_damage_is_seen_also_in_what_was_read_before(site):
    """A block is known by what stands in it, not by its place or time."""
    with open_site(site) as storage:
        events = [number(storage, value) for value in range(100)]
        path = site / DAY
        before = path.read_bytes()
        assert text_of(storage) == before
        with path.open("r+b") as file:
            file.seek(before.index(b"\n") + 5)
            file.write(b"?")
        expected = [event.seq for event in events if event is not events[1]]
        assert seqs_of(text_of(storage)) == expected


def test_a_sixth_key_is_not_handed_on(site):
    """Whoever reads over the network is promised five."""
    with open_site(site) as storage:
        number(storage, 1)
        number(storage, 2, id="a")
        number(storage, 3, make_current=False)
        lines = [orjson.loads(each) for each in text_of(storage).splitlines()]
    assert [list(each) for each in lines] == [["seq", "ts", "type", "data", "meta"]] * 3
    assert [each["data"] for each in lines] == [1, 2, 3]


def test_a_block_is_handed_on_as_it_stands(site):
    """So a history takes no longer than its bytes; only where streams mix it is cut."""
    with open_site(site) as storage:
        for value in range(50):
            number(storage, value)
        storage.start_run(make_run())
        for value in range(50):
            number(storage, value, run_id="001" if value % 10 else None)
        blocks = list(storage.read_json())
        run = (site / "001" / "telemetry.ndjson").read_bytes()
        assert list(storage.read_json(Selection(run="001"))) == [run]
    # The site's first fifty and one are together, then nine of the run, one of the site, ….
    assert [block.count(b"\n") for block in blocks] == [51, *[9, 1] * 4, 9]
    assert seqs_of(b"".join(blocks)) == list(range(1, 101))


def test_lines_of_another_process_are_in_the_answer_whole_or_not_at_all(site):
    """What it appends while somebody reads stands behind the lines that were asked for."""
    with open_site(site) as storage, open_site(site, read_only=True) as other:
        number(storage, 1)
        blocks = other.read_json()
        number(storage, 2)
        assert seqs_of(b"".join(blocks)) == [1]
        assert seqs_of(text_of(other)) == [1, 2]


def test_streams_of_one_seq_are_merged_all_the_same():
    """Only damage makes them so; reading goes on."""
    streams = [(1, iter([Passage(line(1) + line(3), Bounds(1, 3))])) for _ in range(2)]
    assert sorted(seqs_of(b"".join(merged(streams)))) == [1, 1, 3, 3]


def test_few_blocks_are_remembered(monkeypatch):
    """Those that were not asked for lately are looked through again."""
    monkeypatch.setattr(passage, "_KNOWN_BLOCKS", 2)
    known = Known()
    for _ in range(2):
        for seq in (1, 2, 3):
            assert known.bounds_of(line(seq)) == Bounds(seq, seq)
    assert len(known._bounds) == 2  # noqa: SLF001


def test_a_line_that_is_repeated_behind_a_block_is_there_once(site, monkeypatch):
    """Where blocks meet is chance."""
    monkeypatch.setattr(reader, "PASSAGE", len(line(1)) + len(line(2)))
    site.mkdir()
    (site / DAY).write_bytes(line(1) + line(2) + line(2) + line(3))
    with open_site(site, read_only=True) as storage:
        assert seqs_of(text_of(storage)) == [1, 2, 3]
