"""The sparse index leaves out only what nobody asked for, whatever stands in the file."""

import bisect
import itertools

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry_core.clock import format_ts, instant_ns
from telemetry_core.ndjson.index import BLOCK, Index, Indexes
from telemetry_core.ndjson.layout import Layout
from telemetry_core.ndjson.lines import DamagedLineError, parse
from tests.core.ndjson.sites import DAY, at, line

MS = 1_000_000
SPELLINGS = [
    lambda ts: ts,
    lambda ts: ts,
    lambda ts: ts,
    lambda ts: f"{ts[:-1]}123456Z",
    lambda ts: f"{ts[:19]}Z",
    lambda ts: f"{ts[:21]}Z",
    lambda ts: f"{ts[:-1].replace('T', ' ')}+00:00",
    lambda ts: ts.lower(),
    lambda ts: f"{ts[:5]}99{ts[7:]}",
]
SHAPES = [
    lambda text: text,
    lambda text: text,
    lambda text: text,
    lambda text: text[: len(text) // 2] + b"\n",
    lambda text: b"\xff" + text,
    lambda text: orjson.dumps(dict(reversed(orjson.loads(text).items()))) + b"\n",
    lambda text: text[:-1] + b"\r\n",
    lambda text: b"\n" + text,
]
rows = st.tuples(
    st.integers(1, 3),
    st.integers(-500, 500),
    st.sampled_from(SPELLINGS),
    st.sampled_from(SHAPES),
    st.sampled_from([10, 3000, 9000, 9000, 100_000]),
)
quick = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def text_of(rows_, *, is_sorted):
    """Return the content of a file with a line for each row; seqs go up, times as they like."""
    seq, lines = 0, []
    for number, (step, minute, spell, shape, size) in enumerate(rows_):
        seq += step
        ts = spell(format_ts(at(60 * (number if is_sorted else minute))))
        lines.append(shape(line(seq, ts, data="x" * size)))
    return b"".join(lines)


def found_in(text):
    """Return offset, seq and time of each whole event in *text*, one line after the other."""
    found, offset = [], 0
    for each in text.splitlines(keepends=True):
        try:
            event = parse(each)
        except DamagedLineError:
            pass
        else:
            try:
                found.append((offset, event.seq, instant_ns(event.ts) // MS))
            except ValueError:
                found.append((offset, event.seq, None))
        offset += len(each)
    return found


def check_index(index, text):
    """Hold what *index* says of a file against what a look at every line says."""
    lines = found_in(text)
    starts = {0, *(at_ + 1 for at_, byte in enumerate(text) if byte == 0x0A)}
    for seq in {0, *(one[1] for one in lines[:: max(1, len(lines) // 9)]), 10**9}:
        start = index.start_after(seq)
        assert start in starts
        assert all(one[1] <= seq for one in lines if one[0] < start)
    times = sorted({one[2] for one in lines if one[2] is not None})[:: max(1, len(lines) // 4)]
    bounds = [None, *times, *(ms + 1 for ms in times)]
    offsets = [0, *(one[0] for one in lines[:: max(1, len(lines) // 2)])]
    for start in offsets:
        for since in bounds:
            for until in bounds:
                spans = index.spans(start, since, until)
                check_spans(spans, start, starts, len(text))
                for offset, _, ms in lines:
                    if offset >= start and is_within(ms, since, until):
                        assert any(is_in(offset, span) for span in spans)


def check_spans(spans, start, starts, size):
    """See that *spans* are parts of a file behind *start*, one behind the other."""
    edges = [edge for span in spans for edge in span]
    assert edges[-1] is None
    edges[-1] = max(size, edges[-2])
    assert edges[0] >= start
    assert edges == sorted(edges)
    assert set(edges[:-1]) <= starts


def is_within(ms, since, until):
    """Whether an event of the time *ms* is asked for."""
    return ms is not None and (since is None or ms >= since) and (until is None or ms <= until)


def is_in(offset, span):
    """Whether *offset* lies in *span*."""
    return span.start <= offset and (span.end is None or offset < span.end)


@pytest.fixture
def layout(tmp_path):
    """Return the layout of a site directory."""
    (tmp_path / "site").mkdir()
    return Layout(tmp_path / "site")


@pytest.fixture
def path(layout):
    """Return the path of a file of lines."""
    return layout.site_dir / DAY


def index_of(layout, path):
    """Return what is known of *path* by who has not looked before."""
    return Indexes(layout).of(path)


@quick
@given(st.lists(rows, max_size=80), st.booleans())
def test_an_index_leaves_out_nothing(layout, path, rows_, is_sorted):
    """Late events, times of any spelling, damaged and large lines: all are found."""
    text = text_of(rows_, is_sorted=is_sorted)
    path.write_bytes(text)
    check_index(index_of(layout, path), text)


@quick
@given(st.lists(rows, min_size=20, max_size=80), st.lists(st.floats(0, 1), max_size=4))
def test_an_index_grows_with_its_file(layout, path, rows_, cuts):
    """Wherever the file ended when somebody looked, also in the middle of a line."""
    text = text_of(rows_, is_sorted=True)
    indexes = Indexes(layout)
    for cut in sorted(cuts):
        part = text[: int(cut * len(text))]
        path.write_bytes(part)
        check_index(indexes.of(path), part[: part.rfind(b"\n") + 1])
    path.write_bytes(text)
    check_index(indexes.of(path), text)
    assert indexes.of(path).blocks == index_of(layout, path).blocks or cuts


@quick
@given(st.lists(rows, min_size=40, max_size=80), st.floats(0, 1), st.integers(0, 255))
def test_a_damaged_index_is_made_again(layout, path, rows_, where, byte):
    """Whichever byte of it is wrong; what it says is never wrong."""
    text = text_of(rows_, is_sorted=True)
    path.write_bytes(text)
    kept_in = layout.index_of(path)
    kept_in.unlink(missing_ok=True)  # that of the example before
    index = index_of(layout, path)
    index.save(index.end)
    if not index.blocks:
        return
    kept = bytearray(kept_in.read_bytes())
    kept[int(where * (len(kept) - 1))] = byte
    kept_in.write_bytes(kept)
    again = index_of(layout, path)
    check_index(again, text)
    again.save(again.end)
    assert Index(path, kept_in).blocks == again.blocks


def write_lines(path, first, count, *, minutes=1, start=0):
    """Write so many lines of the same length into *path*, an event each so many minutes."""
    lines = [
        line(first + n, format_ts(at(60 * minutes * (start + n))), data=0) for n in range(count)
    ]
    path.write_bytes(b"".join(lines))
    return path.read_bytes()


def test_an_hour_of_a_day_is_a_small_part_of_its_file(layout, path):
    """The index leaves out what it can."""
    text = write_lines(path, 100_000, 20_000, minutes=0.05)
    since = at(8 * 3600) // MS
    *spans, rest = index_of(layout, path).spans(0, since, since + 3_600_000)
    size = sum(span.end - span.start for span in spans)
    assert size <= len(text) / 16 + 2 * BLOCK
    assert len(text) - rest.start < BLOCK


def test_a_late_event_costs_its_block(layout, path):
    """One old time in a new block lets the block be read, and no other."""
    text = bytearray(write_lines(path, 100_000, 20_000))
    late = text.index(b'{"seq":115000')
    text[late : late + len(line(115_000, data=0))] = line(115_000, format_ts(at(60)), data=0)
    path.write_bytes(text)
    spans = index_of(layout, path).spans(0, None, at(120) // MS)
    assert [is_in(late, span) for span in spans] == [False, True, False]
    assert sum(span.end - span.start for span in spans[:-1]) < 4 * BLOCK


def test_a_cursor_skips_what_lies_before_it(layout, path):
    """The offset to begin at is less than two blocks before the first line that counts."""
    text = write_lines(path, 100_000, 20_000)
    start = index_of(layout, path).start_after(115_000)
    wanted = text.index(b'{"seq":115001')
    assert 0 <= wanted - start <= 2 * BLOCK


def test_a_kept_index_saves_the_reading(layout, path):
    """What was saved is what is loaded, and nothing need be read for it."""
    write_lines(path, 100_000, 20_000)
    index = index_of(layout, path)
    index.save(index.end)
    kept = Index(path, layout.index_of(path))
    assert kept.blocks == index.blocks
    assert len(kept.blocks) > 10
    assert kept.is_whole(path.stat().st_size)


def test_an_index_is_saved_up_to_where_lines_are_accounted_for(layout, path):
    """What is behind may be cut off again."""
    write_lines(path, 100_000, 20_000)
    index = index_of(layout, path)
    half = index.blocks[4].end
    index.save(half)
    index.save(half + 1)
    assert Index(path, layout.index_of(path)).end == half
    index.save(index.end)
    assert Index(path, layout.index_of(path)).blocks == index.blocks


def test_an_index_is_made_in_parts(layout, path):
    """A large file does not keep anybody waiting: so many bytes are looked at at once."""
    write_lines(path, 100_000, 20_000)
    indexes, ends = Indexes(layout), []
    while not ends or ends[-1:] != ends[-2:-1]:
        ends.append(indexes.of(path, most_bytes=5 * BLOCK).end)
    assert len(ends) > 4
    assert max(two - one for one, two in itertools.pairwise(ends)) <= 5 * BLOCK
    check_index(indexes.of(path), path.read_bytes())


@pytest.mark.parametrize("is_kept", [True, False])
@pytest.mark.parametrize("first", [100_000, 300_000])
def test_another_file_has_another_index(layout, path, is_kept, first):
    """Also when each line break stands where one stood in the file before."""
    indexes = Indexes(layout)
    write_lines(path, 200_000, 5_000)
    index = indexes.of(path)
    if is_kept:
        index.save(index.end)
        indexes = Indexes(layout)
    text = write_lines(path, first, 5_000, start=50_000)
    check_index(indexes.of(path), text)
    seqs = [first + n for n in range(5_000)]
    start = indexes.of(path).start_after(first + 2_500)
    assert bisect.bisect(seqs, first + 2_500) * len(line(first, data=0)) - start <= 2 * BLOCK


def test_a_file_that_was_cut_has_a_smaller_index(layout, path):
    """In memory and on disk."""
    text = write_lines(path, 100_000, 20_000)
    indexes = Indexes(layout)
    index = indexes.of(path)
    index.save(index.end)
    cut = text[: len(line(100_000, data=0)) * 2000]
    path.write_bytes(cut)
    for one in (indexes, Indexes(layout)):
        assert one.of(path).end <= len(cut)
        check_index(one.of(path), cut)


def test_only_so_many_indexes_are_kept_in_memory(layout):
    """A site of many years has many files."""
    indexes = Indexes(layout)
    for n in range(200):
        path = layout.site_dir / f"site_{20200101 + n}.ndjson"
        path.write_bytes(line(n + 1))
        indexes.of(path)
    known = [one for one in vars(indexes).values() if hasattr(one, "__len__")]
    assert max(map(len, known)) <= 64
