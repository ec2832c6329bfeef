"""Recorder.record_json: many texts at once, each judged as if it had come alone."""

import json

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import telemetry_core
from telemetry_core import InvalidEventError, MalformedJSONError, hookimpl
from telemetry_core.codec import make_converter, problems_of, read_json
from telemetry_core.intake import JSONDraft, Rejected
from telemetry_core.memory import MemoryStorage
from telemetry_core.recorder import Recorder

CLOCK_NS = 1_773_792_000_000_000_000

structure = make_converter().structure


def open_recorder(url="memory:", **options):
    """Return a recorder whose clock stands still."""
    return telemetry_core.open(url, clock=lambda: CLOCK_NS, **options)


def recorded_alone(recorder, text):
    """Return what `POST /event` makes of *text*: the event, or why there is none."""
    try:
        values = read_json(text)
        try:
            wanted = structure(values, JSONDraft)
        except Exception as error:  # noqa: BLE001  # cattrs raises groups of whatever went wrong
            raise InvalidEventError(problems_of(error)) from None
        return recorder.record(**attrs.asdict(wanted, recurse=False))
    except (MalformedJSONError, InvalidEventError, telemetry_core.IdConflictError) as error:
        return str(error)


def recorded_together(recorder, texts):
    """Return for each of *texts* the event, or why there is none."""
    report = recorder.record_json(texts)
    reasons = {one.index: one.detail for one in report.rejected}
    events = iter(report.events)
    return [
        reasons[index] if index in reasons else next(events)
        for index, text in enumerate(texts)
        if text.strip()
    ]


def check_same(texts):
    """See that *texts* get the same verdicts, and the same events, together as one by one."""
    with open_recorder() as alone, open_recorder() as together:
        expected = [recorded_alone(alone, text) for text in texts if text.strip()]

        assert expected == recorded_together(together, texts)

        assert list(alone.history()) == list(together.history())
        assert dict(alone.current()) == dict(together.current())
        for event in together.history():
            json.loads(event.data_json)
            assert b"\n" not in event.data_json + event.meta_json


NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1]),
    st.floats(allow_nan=True, allow_infinity=True),
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=6) | st.sampled_from([":", "a:b", '"']),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.sampled_from(["a", "run_id"]), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = st.fixed_dictionaries(
    {"type": st.sampled_from(["w", "a:b", "", "x" * 129]) | VALUES, "data": VALUES},
    optional={
        "ts": st.sampled_from(
            [
                "2026-03-18T00:05:48.955Z",
                "2026-03-18T00:05:48.95٣Z",
                "2026-03-18T02:05:48+02:00",
                "2026-13-18T00:05:48.955Z",
                "",
                None,
            ]
        )
        | VALUES,
        "meta": st.dictionaries(st.sampled_from(["run_id", "a"]), VALUES, max_size=2) | VALUES,
        "make_current": st.booleans() | VALUES,
        "store_permanently": st.booleans() | VALUES,
        "stream": st.sampled_from(["site", "run", None]) | VALUES,
        "id": st.sampled_from(["1", "2", "a:b", "", None]) | VALUES,
        "seq": VALUES,
    },
)


@st.composite
def written(draw):
    """An event as some program might write it: compact or not, in ASCII or not, keys twice."""
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :"), (",\r", ":\t")]))
    text = json.dumps(draw(FIELDS), separators=separators, ensure_ascii=draw(st.booleans()))
    again = draw(st.sampled_from(["", '"data":1', '"type":"w"', '"meta":{"a":1,"a":2}', '"a":1']))
    if again:
        text = text[:-1] + separators[0] + again + "}"
    return text.encode("utf-8", "surrogatepass")


@st.composite
def mutated(draw):
    """What was written, with a piece of it lost, doubled or replaced on the way."""
    text = draw(written())
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 8)))
    pieces = [
        text[start:end] * 2,
        *(b"", b"\xff", b'"', b":", b"\\", b"{", b"}", b",", b"[", b"\x00", b"\\ud800"),
        *(b"1e999", b"NaN", b"0" * 20, b"9" * 20, b'"a":1,"a":1', b"\xed\xa0\x80", b" "),
    ]
    return text[:start] + draw(st.sampled_from(pieces)) + text[end:]


@given(st.lists(written() | mutated(), min_size=1, max_size=4))
@example([b'{"type":"w","data":{"a":1,"a":":"}}'])
@example([b'{"type":"w","data":1,"data":":"}'])
@example([b'{"type":"w","data":[1', b"2]}", b'{"type":"w","data":1},{"type":"w","data":1}'])
def test_texts_are_judged_together_as_one_by_one(texts):
    """Whatever the texts hold, a batch of them refuses and stores what `POST /event` would."""
    check_same(texts)


PLAIN = [
    b'{"type":"w","data":{"a":1.5,"b":[null,{"c":true}]},"ts":"2026-03-18T00:05:48.955Z"}',
    b'{"type":"a:b","data":"c:d"}',
    *(b'{"type":"w","data":%d}' % number for number in range(8)),
]
"""More than a few, all of which are read and judged together."""


@given(st.integers(0, len(PLAIN)), st.lists(written() | mutated(), max_size=2))
@example(0, [b'{"type":"w","data":{"a":1,"a":":"}}'])
@example(1, [b'{"type":"w","data":{}}{"type":"w","data":1}', b" "])
@example(1, [b'{"type":"w","data":{}', b'{"type":"w","data":1}}{"type":"w","data":1}'])
def test_a_doubtful_text_among_plain_ones(place, texts):
    """Costs its neighbours nothing either, wherever it stands."""
    check_same([*PLAIN[:place], *texts, *PLAIN[place:]])


def test_plain_texts_are_recorded_as_a_block():
    """Else the tests of what is plain would look at the other way of recording."""
    blocks = []

    class Watching(MemoryStorage):
        def append_block(self, block, recorded_ns):
            blocks.append(block)
            return super().append_block(block, recorded_ns)

    with Recorder(Watching()) as recorder:
        recorder.record_json(PLAIN)
        recorder.record_json(PLAIN[:2])
    assert [len(PLAIN)] == [len(block) for block in blocks]


@pytest.mark.parametrize("site_types", [(), ("a:b",)], ids=["one stream", "two streams"])
def test_a_block_goes_to_the_active_run(site_types):
    """Except for the types that go to the site, and with the meta of the run."""
    with open_recorder(site_types=site_types) as recorder, recorder.run("A"):
        events = recorder.record_json(PLAIN).events

        expected = [None if event.type in site_types else "A" for event in events]
        assert expected == [event.run_id for event in recorder.history()]
        assert list(events) == list(recorder.history())


def test_observers_are_told_of_a_block():
    """Each of its events, as if it had come alone."""
    told = []

    class Observing:
        @hookimpl
        def telemetry_event_recorded(self, event):
            told.append(event)

    with open_recorder(plugins=[Observing()]) as recorder:
        events = list(recorder.record_json(PLAIN).events)
    assert events == told


def test_who_gets_the_events_of_a_block_may_change_them(tmp_path):
    """What is current, and what the next one looks at, stay as they are."""
    with open_recorder(tmp_path / "site") as recorder:
        events = recorder.record_json(PLAIN).events
        events[0].data["a"] = "changed"
        recorder.record_json([b'{"type":"v","data":{"a":1}}'] * 8).events[-1].data["a"] = "changed"

        assert 1.5 == events[0].data["a"]
        assert {"a": 1} == recorder.current()["v"].data


def test_a_type_may_be_refused():
    """By whoever hands the texts over, of a block and of a text that comes alone."""

    def check_type(type_):
        if type_ == "w":
            raise InvalidEventError([telemetry_core.Problem("$.type", "no w")])

    with open_recorder() as recorder:
        for texts in (PLAIN, PLAIN[:3]):
            report = recorder.record_json(texts, check_type=check_type)
            assert ["a:b"] == [event.type for event in report.events]
            assert len(texts) - 1 == len(report.rejected)
            assert Rejected(0, "$.type: no w") == report.rejected[0]


GUARDED = {
    "invalid UTF-8": b'{"type":"w","data":"\xff"}',
    "a line break in a text": b'{"type":"w","data":"a\nb"}',
    "a key twice in data": b'{"type":"w","data":{"a":1,"a":2}}',
    "a key twice deep in data": b'{"type":"w","data":[{"b":{"a":1,"a":2}}]}',
    "a key twice in meta": b'{"type":"w","data":1,"meta":{"a":1,"a":2}}',
    "a key twice behind an escaped colon": b'{"type":"w","data":{"a":1,"a":"\\u003a"}}',
    "a field twice": b'{"type":"w","data":1,"data":2}',
    "a number without end": b'{"type":"w","data":1e999}',
    "NaN": b'{"type":"w","data":NaN}',
    "a lone surrogate": b'{"type":"w","data":"\\ud800"}',
    "a lone surrogate in UTF-8": b'{"type":"w","data":"\xed\xa0\x80"}',
    "101 levels": b'{"type":"w","data":%s}' % (b"[" * 101 + b"]" * 101),
    "5000 levels": b'{"type":"w","data":%s}' % (b"[" * 5000 + b"]" * 5000),
    "an integer of 65 bits": b'{"type":"w","data":18446744073709551616}',
    "an integer below 64 bits": b'{"type":"w","data":-9223372036854775809}',
    "a type that is a number": b'{"type":1,"data":1}',
    "a flag that is a number": b'{"type":"w","data":1,"make_current":1}',
    "meta that is null": b'{"type":"w","data":1,"meta":null}',
    "an unknown field": b'{"type":"w","data":1,"seq":1}',
    "no data": b'{"type":"w"}',
    "a list": b'[{"type":"w","data":1}]',
    "too large": b'{"type":"w","data":"%s"}' % (b"x" * 300_000),
    "two in one text": b'{"type":"w","data":1}{"type":"w","data":1}',
}
TAKEN = {
    "a line break between tokens": b'{"type":"w","data":{"a":\n1}}',
    "a 64-bit integer": b'{"type":"w","data":18446744073709551615}',
    "100 levels": b'{"type":"w","data":%s}' % (b"[" * 100 + b"]" * 100),
    "blanks": b' { "type" : "w" , "data" : { "a" : [ 1 , 2 ] } } \r',
    "escapes": b'{"type":"w","data":"\\ud83d\\ude00\\n"}',
    "nothing left out": json.dumps(
        {
            "type": "w",
            "data": {"a": 1},
            "ts": "2026-03-18T02:05:48+02:00",
            "meta": {"b": 2, "run_id": "forged"},
            "make_current": False,
            "store_permanently": True,
            "stream": "site",
            "id": "a:b",
        }
    ).encode(),
}


@pytest.mark.parametrize("text", GUARDED.values(), ids=GUARDED.keys())
def test_what_post_event_refuses_is_rejected(text):
    """And costs its neighbours nothing."""
    good = b'{"type":"w","data":1}'
    with open_recorder() as recorder:
        report = recorder.record_json([good, text, good])

        assert [1, 2] == [event.seq for event in report.events]
        assert [1] == [one.index for one in report.rejected]
    check_same([good, text, good])
    check_same([*PLAIN, text, *PLAIN])


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN.keys())
def test_what_post_event_takes_is_recorded(text):
    """As the same event."""
    with open_recorder() as recorder:
        assert () == recorder.record_json([text]).rejected
    check_same([text])
    check_same([*PLAIN, text, *PLAIN])


def test_blank_texts_are_passed_over():
    """A line break at the end of a body makes no event and no complaint."""
    with open_recorder() as recorder:
        report = recorder.record_json([b"", b" \r", b'{"type":"w","data":1}', b""])

        assert (1, ()) == (len(report.events), report.rejected)


def test_a_batch_goes_to_the_active_run():
    """Routing is the same as for one event."""
    with open_recorder() as recorder, recorder.run("A"):
        report = recorder.record_json(
            [
                b'{"type":"w","data":1,"meta":{"run_id":"B"}}',
                b'{"type":"w","data":2,"stream":"site"}',
            ]
        )

        assert ["A", None] == [event.run_id for event in report.events]


@pytest.mark.parametrize("conflicts", [[0], [2], [1, 2], [0, 1, 2, 3, 4, 5, 6]])
@pytest.mark.parametrize("run", [None, "A"])
@pytest.mark.parametrize("durability", [None, "interval", "always"])
def test_an_id_of_another_event_rejects_its_text_only(tmp_path, durability, conflicts, run):
    """The rest of the batch is kept once, in order, and its meta is whole."""
    texts = [b'{"type":"w","data":%d,"id":"%d","meta":{"m":1}}' % (n, n) for n in range(7)]
    where = {} if durability is None else {"url": tmp_path / "site", "durability": durability}
    with open_recorder(**where) as recorder:
        for number in conflicts:
            recorder.record("w", "other", id=str(number))
        if run is not None:
            recorder.start_run(run)
        report = recorder.record_json(texts)

        kept = [number for number in range(7) if number not in conflicts]
        assert conflicts == [one.index for one in report.rejected]
        assert kept == [event.data for event in report.events]
        expected = {"m": 1} if run is None else {"m": 1, "run_id": run}
        assert all(json.loads(event.meta_json) == expected for event in report.events)
        assert all(event.meta_json.count(b"run_id") <= 1 for event in report.events)
        assert kept == [event.data for event in recorder.history() if event.data != "other"]


def test_a_retry_is_told_by_its_ids():
    """What was stored before comes back as a duplicate, under its first seq."""
    texts = [b'{"type":"w","data":1,"id":"1"}', b'{"type":"w","data":2,"id":"2"}']
    with open_recorder() as recorder:
        recorder.record_json(texts[:1])
        report = recorder.record_json(texts)

        assert [(1, True), (2, False)] == [(one.seq, one.is_duplicate) for one in report.events]


def test_plugins_prepare_each_event_of_a_batch():
    """They may enrich or refuse it, as they may one that comes alone."""

    class Enriching:
        @hookimpl
        def telemetry_prepare_event(self, draft):
            if draft.data == 2:
                raise InvalidEventError([telemetry_core.Problem("$.data", "no twos")])
            return attrs.evolve(draft, meta={**draft.meta, "seen": True})

    with open_recorder(plugins=[Enriching()]) as recorder:
        report = recorder.record_json(
            [b'{"type":"w","data":1}', b'{"type":"w","data":2}', b'{"type":"w","data":3}']
        )

        assert [{"seen": True}] * 2 == [event.meta for event in report.events]
        assert (Rejected(1, "$.data: no twos"),) == report.rejected


def test_ephemeral_events_of_a_batch_are_current():
    """Also where the storage does not keep them."""
    with open_recorder() as recorder:
        recorder.record_json([b'{"type":"w","data":1,"store_permanently":false}'])

        assert 1 == recorder.current()["w"].data
        assert [] == list(recorder.history())
