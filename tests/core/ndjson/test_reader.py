"""Reading: exactly what is selected, with few files open and little in memory."""

import gc
import resource
import tracemalloc
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry_core.clock import format_ts
from telemetry_core.codec import event_dict
from telemetry_core.ndjson.layout import Layout
from telemetry_core.ndjson.lines import backwards
from telemetry_core.ndjson.runfile import write_run
from telemetry_core.storage import Selection
from telemetry_core.testing import make_draft
from telemetry_core.testing.samples import data_of, make_run, seqs_of, stop, stored
from tests.core.ndjson.sites import DAY, append, at, line, number, open_site

SPELL = [
    format_ts,
    format_ts,
    lambda ns: format_ts(ns)[:-1] + "000001Z",
    lambda ns: format_ts(ns)[:-1] + "000Z",
    lambda ns: format_ts(ns)[:21] + "Z",
    lambda ns: format_ts(ns)[:19] + "Z",
    lambda ns: format_ts(ns).lower().replace("t", " "),
    lambda ns: format_ts(ns + 3600 * 10**9)[:-1] + "+01:00",
]
seconds = st.integers(0, 40)
wishes = st.tuples(
    st.sampled_from("abc"),
    seconds,
    st.sampled_from([0, 0, 250_000_000, 123_000_000]),
    st.sampled_from(SPELL),
    st.booleans(),
    st.sampled_from([1, 3000, 20_000]),
)
steps = st.one_of(
    st.lists(wishes, min_size=1, max_size=8),
    st.lists(wishes, min_size=1, max_size=8),
    st.sampled_from(["noon", "run", "stop"]),
)
instants = st.one_of(
    st.none(),
    st.builds(
        lambda s, ns: format_ts(at(s))[:19] + f".{ns:09d}Z", seconds, st.sampled_from([0, 1])
    ),
    st.builds(lambda s, ns: format_ts(at(s))[:19] + ns, seconds, st.sampled_from(["Z", ".25Z"])),
)
selections = st.fixed_dictionaries(
    {
        "types": st.sets(st.sampled_from("abcd"), max_size=2).map(sorted),
        "since": instants,
        "until": instants,
        "after": st.one_of(st.just(0), st.integers(0, 120)),
    },
    optional={
        "where": st.sampled_from([{"stream": "site"}, {"run": "1"}, {"run": "2"}, {"run": "9"}]),
        "end": st.sampled_from(["limit", "last"]).flatmap(
            lambda name: st.integers(0, 40).map(lambda count: {name: count})
        ),
    },
)


def play(storage, plan):
    """Do what *plan* says, and return the events that are stored then."""
    events, day, run, runs = [], 0, None, 0
    for step in plan:
        if step == "noon":
            day += 1
        elif step == "run" and run is None:
            runs += 1
            run = storage.start_run(make_run(f"{runs % 3}"))
        elif step == "stop" and run is not None:
            stop(storage, run)
            run = None
        elif isinstance(step, list):
            drafts = [
                make_draft(
                    type_,
                    "x" * size,
                    ts=spell(at(second) + ns),
                    run_id=run.run_id if run is not None and is_of_run else None,
                )
                for type_, second, ns, spell, is_of_run, size in step
            ]
            events += append(storage, *drafts, seconds=86400 * day)
    return events


def read_text(storage, selection):
    """Return what the lines say that `read_json` yields for *selection*."""
    return [
        orjson.loads(text) for block in storage.read_json(selection) for text in block.splitlines()
    ]


def expected(events, selection):
    """Return what `Selection` says of *events*, looking at each."""
    chosen = [one for one in events if selection.includes_stream_of(one) and selection.matches(one)]
    if selection.last is not None:
        return chosen[max(0, len(chosen) - selection.last) :]
    return chosen[: selection.limit]


@settings(max_examples=30)
@given(plan=st.lists(steps, max_size=25), chosen=st.lists(selections, min_size=10, max_size=20))
def test_reading_yields_what_is_selected(tmp_path_factory, plan, chosen):
    """Any selection of any history, by the writer, a reader, and after a restart."""
    site = tmp_path_factory.mktemp("reading")
    asked = [
        Selection(**{**wish.pop("where", {}), **wish.pop("end", {}), **wish})
        for wish in map(dict, chosen)
    ]
    with open_site(site) as storage:
        events = play(storage, plan)
        wanted = [expected(events, one) for one in asked]
        assert [list(storage.read(one)) for one in asked] == wanted
        texts = [[event_dict(event) for event in found] for found in wanted]
        assert [read_text(storage, one) for one in asked] == texts
        with open_site(site, read_only=True) as reader:
            assert [list(reader.read(one)) for one in asked] == wanted
            assert [read_text(reader, one) for one in asked] == texts
    with open_site(site) as storage:
        assert [list(storage.read(one)) for one in asked] == wanted


def open_files():
    """Return how many descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(scope="module")
def many_runs(tmp_path_factory):
    """Make a site directory with two thousand runs of three events, and one of the site each."""
    site = tmp_path_factory.mktemp("many") / "site"
    site.mkdir()
    layout, of_site = Layout(site), []
    for n in range(2000):
        directory = site / f"{n:04d}"
        directory.mkdir()
        seqs = [4 * n + 1, 4 * n + 2, 4 * n + 3]
        lines = [line(seq, data=seq, meta={"run_id": directory.name}) for seq in seqs]
        (directory / "telemetry.ndjson").write_bytes(b"".join(lines))
        facts = make_run(directory.name).stopped("2026-03-18T20:00:00.000Z")
        text = {"events": 3, "first_seq": seqs[0], "last_seq": seqs[-1]}
        (directory / "run.json").write_bytes(
            orjson.dumps(
                {
                    "run_id": facts.run_id,
                    "started_at": facts.started_at,
                    "stopped_at": facts.stopped_at,
                    "status": facts.status,
                    **text,
                }
            )
        )
        of_site.append(line(4 * n + 4, data=4 * n + 4))
    (site / DAY).write_bytes(b"".join(of_site))
    with open_site(site):
        assert layout.checkpoint.exists()
    return site


@pytest.mark.parametrize(
    ("wish", "wanted"),
    [
        ({}, range(1, 8001)),
        ({"last": 10}, range(7991, 8001)),
        ({"last": 3000}, range(5001, 8001)),
        ({"limit": 10}, range(1, 11)),
        ({"after": 7000}, range(7001, 8001)),
        ({"after": 7000, "limit": 3}, range(7001, 7004)),
        ({"run": "1000"}, range(4001, 4004)),
    ],
)
def test_thousands_of_runs_are_read_with_few_files_open(many_runs, wish, wanted):
    """Each is opened when it is its turn, and closed when it is over."""
    with open_site(many_runs, read_only=True) as reader:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files() + 12, before[1]))
        try:
            assert seqs_of(stored(reader, **wish)) == [*wanted]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Make a site directory with a file of 20 MB."""
    site = tmp_path_factory.mktemp("large")
    lines = (line(seq, format_ts(at(seq)), data="x" * 1000) for seq in range(1, 18_001))
    with (site / DAY).open("wb") as file:
        file.writelines(lines)
        assert file.tell() > 19_000_000
    return site


@pytest.mark.parametrize(
    ("wish", "count"),
    [
        ({}, 18_000),
        ({"after": 9000}, 9000),
        ({"since": format_ts(at(2000))}, 16_001),
        ({"until": format_ts(at(17_000))}, 16_999),
        ({"types": "dome"}, 0),
        ({"last": 10}, 10),
        ({"types": "dome", "last": 10}, 0),
    ],
)
def test_reading_holds_little_in_memory(large, wish, count):
    """However large a file is, a few blocks of it are looked at at a time."""
    with open_site(large, read_only=True) as reader:
        reader.wait(0)
        gc.collect()
        tracemalloc.start()
        try:
            assert sum(1 for _ in reader.read(Selection(**wish))) == count
            assert tracemalloc.get_traced_memory()[1] < 4_000_000
        finally:
            tracemalloc.stop()


def test_the_first_event_comes_before_the_last_is_looked_at(large):
    """Reading is lazy: what follows may be damaged, or not there any more."""
    with open_site(large, read_only=True) as reader:
        before = open_files()
        events = reader.read()
        assert next(events).seq == 1
        assert open_files() == before + 1
        events.close() if hasattr(events, "close") else None
        del events
        assert open_files() == before


@pytest.mark.parametrize("wish", [{}, {"limit": 500}, {"after": 3}, {"types": "weather"}])
def test_a_reader_that_stops_half_way_leaves_no_file_open(storage, wish):
    """Also when it goes without a word."""
    storage.start_run(make_run())
    for n in range(20):
        append(storage, make_draft(data=n), make_draft(data=n, run_id="001"), seconds=n * 43_200)
    before = open_files()
    for _ in range(3):
        events = storage.read(Selection(**wish))
        for _ in range(5):
            next(events)
        del events
    assert open_files() == before
    assert len(stored(storage)) == 40


def test_a_file_that_is_removed_while_it_is_read_is_read_to_its_end(site, storage):
    """One that was not opened yet is passed over."""
    for day in range(4):
        append(storage, *(make_draft(data=f"{day} {n}") for n in range(3)), seconds=86400 * day)
    events = storage.read()
    assert next(events).data == "0 0"
    for day in (18, 19):
        (site / f"site_202603{day}.ndjson").unlink()
    assert [event.data[0] for event in events] == [*"00222333"]


@pytest.mark.parametrize("wish", [{"last": 3}, {"since": "2026-03-18T00:00:00Z", "last": 3}])
def test_a_run_whose_file_is_gone_has_no_events(site, storage, wish):
    """Its facts say that it had some."""
    run = storage.start_run(make_run())
    number(storage, 1, run_id="001")
    stop(storage, run)
    number(storage, 2)
    (site / "001" / "telemetry.ndjson").unlink()
    assert data_of(storage, **wish) == [2]


def test_a_file_that_is_gone_has_no_last_line(site):
    """It was there when its end was looked for."""
    assert list(backwards(site / DAY, 0, 100)) == []


def test_a_run_without_readable_facts_is_read(site, storage):
    """Its events are there, whatever became of `run.json`."""
    for n, run_id in enumerate(("001", "002", "003")):
        run = storage.start_run(make_run(run_id))
        number(storage, n, run_id=run_id)
        stop(storage, run)
    (site / "001" / "run.json").write_bytes(b"{")
    (site / "002" / "run.json").unlink()
    write_run(site / "003", run.stopped("2026-03-18T20:00:00.000Z"))
    assert data_of(storage) == [0, 1, 2]
    assert [data_of(storage, run=run_id) for run_id in ("001", "002")] == [[0], [1]]


def test_damaged_lines_are_passed_over_in_both_directions(site, caplog):
    """They are told with their offsets, forwards and backwards."""
    site.mkdir()
    (site / DAY).write_bytes(line(1) + b"oops\n" + b"\n" + line(2) + b'{"seq":3}\n' + line(4))
    offset = len(line(1))
    with open_site(site, read_only=True) as reader:
        caplog.clear()
        for wish in ({}, {"last": 9}, {"after": 1, "last": 9}, {"after": 1}):
            assert seqs_of(stored(reader, **wish)) == [
                one for one in (1, 2, 4) if one > wish.get("after", 0)
            ]
            assert f"at offset {offset}, 4 bytes" in caplog.text
            assert f"at offset {offset + 6 + len(line(2))}, 9 bytes" in caplog.text
            caplog.clear()


def test_lines_longer_than_a_block_are_read_backwards(site):
    """Where a line begins is found however far it is."""
    site.mkdir()
    sizes = [10, 400_000, 10, 131_072, 131_071, 300_000, 10]
    lines = [line(seq, data="x" * size) for seq, size in enumerate(sizes, 1)]
    (site / DAY).write_bytes(b"".join(lines))
    with open_site(site, read_only=True) as reader:
        for count in range(9):
            assert seqs_of(stored(reader, last=count)) == [*range(1, 8)][max(0, 7 - count) :]
    found = list(backwards(site / DAY, 0, (site / DAY).stat().st_size))
    assert [text + b"\n" for _, text in found] == lines[::-1]
    assert [offset for offset, _ in found] == [
        sum(map(len, lines[:n])) for n in range(len(lines) - 1, -1, -1)
    ]
