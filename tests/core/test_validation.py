"""What may be recorded: every limit, seen from the recorder; a refusal writes nothing."""

import enum
import math
from datetime import UTC, date, datetime, timedelta, timezone
from types import MappingProxyType

import attrs
import pytest

import telemetry_core
from telemetry_core import Draft, InvalidEventError, Recorder, hookimpl
from telemetry_core.memory import MemoryStorage

MAX_BYTES = 256 * 1024


@pytest.fixture
def recorder():
    """Return a recorder over memory."""
    with telemetry_core.open("memory:") as one:
        yield one


@pytest.fixture
def strict():
    """Return a recorder that makes nothing null."""
    with telemetry_core.open("memory:", strict=True) as one:
        yield one


def refusal(recorder, type_="weather", data=1, **fields):
    """Return the only problem of an event that must be refused without a trace."""
    for record in (
        lambda: recorder.record_many([Draft("before", 1), Draft(type_, data, **fields)]),
        lambda: recorder.record(type_, data, **fields),
    ):
        with pytest.raises(InvalidEventError) as caught:
            record()
    assert ([], {}, 0) == (list(recorder.history()), dict(recorder.current()), last_seq(recorder))
    (problem,) = caught.value.problems
    return problem.path, problem.message


def last_seq(recorder):
    """Return the last number that was given."""
    return recorder.current().as_of_seq


def nested(depth, inner=1, *, as_objects=False):
    """Return a value of so many levels."""
    value = inner
    for _ in range(depth):
        value = {"a": value} if as_objects else [value]
    return value


@pytest.mark.parametrize(
    "name",
    ["a", "weather", "a/b", "../../a", "é", "測定/温度", "🔭", " a ", "x" * 128, "é" * 128, "site"],
)
def test_a_name_is_printable(recorder, name):
    """A type and an id may be any 1 to 128 printable characters."""
    event = recorder.record(name, 1, id=name)
    assert (name, name) == (event.type, event.id)
    assert [event] == list(recorder.history(types=name))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * 129,
        "a\nb",
        "a\0",
        "\t",
        "\x7f",
        "\u2028",
        "\u200b",
        "\ud800",
        "a\udfff",
        5,
        b"a",
        ["a"],
    ],
)
@pytest.mark.parametrize("field", ["type", "id"])
def test_a_name_that_is_not_is_refused(recorder, field, name):
    """Shown no longer than a line."""
    fields = {"type_": name} if field == "type" else {"id": name}
    path, message = refusal(recorder, **fields)
    assert f"$.{field}" == path
    assert f"is no {field}: 1-128 printable characters are" in message
    assert len(message) < 300


def test_a_type_is_needed(recorder):
    """An id is not."""
    assert "$.type" == refusal(recorder, None)[0]


def test_a_type_that_was_refused_is_refused_again(recorder):
    """And one that was taken is taken again."""
    for _ in range(2):
        refusal(recorder, "a\nb")
    for _ in range(2):
        recorder.record("weather", 1)


@pytest.mark.parametrize("as_objects", [False, True])
def test_data_and_meta_nest_a_hundred_levels(recorder, as_objects):
    """One more is refused, and so are very many."""
    deep = nested(100, as_objects=as_objects)
    assert deep == recorder.record("weather", deep, meta={"a": nested(99)}).data
    assert deep == next(recorder.history()).data


@pytest.mark.parametrize("as_objects", [False, True])
@pytest.mark.parametrize("depth", [101, 250, 300, 5000])
@pytest.mark.parametrize("inner", [1, "x" * 300])
def test_deeper_nesting_is_refused(recorder, depth, inner, as_objects):
    """In data and in meta, whatever lies at the bottom, and in as many words."""
    deep = nested(depth, inner, as_objects=as_objects)
    assert ("$.data", "nested deeper than 100 levels") == refusal(recorder, data=deep)
    assert ("$.meta", "nested deeper than 100 levels") == refusal(recorder, meta={"x": deep})


def test_nesting_without_end_is_refused(recorder):
    """A list that stands in itself, twice, and tuples."""
    endless = [1]
    endless += [endless, (endless, {"a": endless})]
    assert ("$.data", "nested deeper than 100 levels") == refusal(recorder, data=endless)


def test_breadth_is_not_depth(recorder):
    """Many small lists beside each other are fine; brackets in text are only text."""
    wide = [[number, {"a": []}] for number in range(500)]
    assert wide == recorder.record("weather", wide).data
    text = "[" * 1000 + "{" * 1000
    assert text == recorder.record("weather", text).data


def test_one_deep_branch_among_many_is_refused(recorder):
    """The deepest counts."""
    path, message = refusal(recorder, data=[[], nested(100), [1]])
    assert ("$.data", "nested deeper than 100 levels") == (path, message)


@pytest.mark.parametrize("number", [0, -(2**63), 2**63, 2**64 - 1])
def test_integers_of_64_bits_are_kept(recorder, number):
    """Signed or unsigned, exactly; also as a key."""
    event = recorder.record("weather", [number, {number: 1}])
    assert [number, {str(number): 1}] == event.data


@pytest.mark.parametrize("number", [-(2**63) - 1, 2**64, 10**400])
def test_larger_integers_are_refused(recorder, number):
    """With their place."""
    assert "$.data.a[0]" == refusal(recorder, data={"a": [number]})[0]
    assert "$.meta.a" == refusal(recorder, meta={"a": number})[0]
    assert "$.data" == refusal(recorder, data=number)[0]


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_lone_surrogates_are_refused(recorder, text):
    """As a value, deep inside, and as a key: no reader could decode them."""
    assert "$.data" == refusal(recorder, data=text)[0]
    assert "$.data.a[1]" == refusal(recorder, data={"a": [1, text]})[0]
    assert refusal(recorder, data={text: 1})[0].startswith("$.data")
    assert refusal(recorder, meta={"a": text})[0].startswith("$.meta")
    assert refusal(recorder, meta={text: 1})[0].startswith("$.meta")


def test_numbers_that_are_none_become_null_and_are_counted(recorder):
    """At any depth, in data and in meta; a null of the writer's own is not counted."""
    event = recorder.record(
        "weather", {"a": [math.nan, None, "null"], "b": math.inf}, meta={"c": -math.inf}
    )
    recorder.record_many([Draft("weather", (math.nan, 1.0)), Draft("weather", None)])

    assert ({"a": [None, None, "null"], "b": None}, {"c": None}) == (event.data, event.meta)
    assert 4 == recorder.nulled
    assert [None, 1.0] == list(recorder.history())[1].data


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"data": math.nan}, "$.data"),
        ({"data": {"a": [None, 1.5, math.inf]}}, "$.data.a[2]"),
        ({"data": (1, (math.nan,))}, "$.data[1][0]"),
        ({"meta": {"a": {"b": -math.inf}}}, "$.meta.a.b"),
    ],
)
def test_numbers_that_are_none_are_refused_when_strict(strict, fields, path):
    """The first one, with its place."""
    assert (path, "NaN and infinities are not JSON; use None") == refusal(strict, **fields)
    assert 0 == strict.nulled


def test_null_is_no_number_to_be_strict_about(strict):
    """It is a value like any other."""
    value = {"a": None, "b": [None, "null"], "c": True, "d": date(2026, 3, 18)}
    assert {**value, "d": "2026-03-18"} == strict.record("weather", value).data


class Colour(enum.Enum):
    """Its members are written as their values."""

    RED = "red"


@attrs.frozen
class Reading:
    """Its fields are written as an object."""

    value: object


@pytest.mark.parametrize(
    "data",
    [
        {1: "a", "1": "b"},
        {"x": [{2.5: 1, "2.5": 2}]},
        {True: 1, "true": 2},
        {None: 1, "null": 2},
        {Colour.RED: 1, "red": 2},
        {datetime(2026, 1, 1, tzinfo=UTC): 1, "2026-01-01T00:00:00+00:00": 2},
        {"x": Reading({1: "a", "1": "b"})},
    ],
)
def test_two_keys_that_are_one_as_text_are_refused(recorder, data):
    """One of the two values would be lost."""
    path, message = refusal(recorder, data=data)
    assert path.startswith("$.data")
    assert "two keys are the same as JSON text" == message
    assert refusal(recorder, meta=data)[0].startswith("$.meta")


@pytest.mark.parametrize("text", ["a\0", "\\\0", "\\\\\0b"])
def test_the_character_nul_is_refused(recorder, text):
    """A database of ours keeps no text with it."""
    assert "NUL" in refusal(recorder, data=[text])[1]
    assert "NUL" in refusal(recorder, data={text: 1})[1]
    assert "NUL" in refusal(recorder, meta={"a": text})[1]


@pytest.mark.parametrize("text", ["\\u0000", "\\\\u0000", "\\", "C:\\u0000\n"])
def test_what_only_looks_like_nul_is_kept(recorder, text):
    """A backslash and the letters behind it are text like any other."""
    assert text == recorder.record("weather", text).data


def test_thousands_of_levels_are_refused_like_a_hundred(recorder):
    """However deep a value is, it is an event that cannot be kept, and no other error."""
    path, _ = refusal(recorder, data=nested(2000))
    assert path.startswith("$.data")


def test_a_refused_event_counts_no_null(recorder):
    """What was not recorded did not become null."""
    refusal(recorder, data=math.nan, ts="banana")
    refusal(recorder, data=math.nan, meta=1)
    assert 0 == recorder.nulled


def test_empty_meta_takes_no_room(recorder):
    """An event of the largest size is kept with `meta={}` as without."""
    text = "x" * (256 * 1024 - 2)
    assert recorder.record("weather", text, meta={}).data == text


@pytest.mark.parametrize(
    ("value", "message"),
    [(b"x", "decode it"), (1j, "real and imaginary"), (iter([1]), "only once")],
)
def test_a_converters_own_message_reaches_the_caller(recorder, value, message):
    """It says what to do instead."""
    path, said = refusal(recorder, data={"a": [value]})
    assert "$.data.a[0]" == path
    assert message in said


def test_keys_that_are_no_text_become_text(recorder):
    """Numbers, dates, true, false and null, as JSON has no other."""
    event = recorder.record("weather", {1: "a", 2.5: {None: 1, False: 2}, date(2026, 3, 18): 3})
    assert {"1": "a", "2.5": {"null": 1, "false": 2}, "2026-03-18": 3} == event.data


def test_an_event_may_be_as_large_as_the_storage_says(recorder):
    """Data and meta together, as JSON text."""
    text = "x" * (MAX_BYTES - 2)
    assert text == recorder.record("weather", text).data
    half = "é" * (MAX_BYTES // 4 - 20)
    assert half == recorder.record("weather", half, meta={"a": half}).data


def test_a_larger_event_is_refused(recorder):
    """The message tells both sizes; the limit is that of the text, not of the characters."""
    message = f"{MAX_BYTES + 1} bytes of JSON; at most {MAX_BYTES} are kept"
    assert ("$.data", message) == refusal(recorder, data="x" * (MAX_BYTES - 1))
    assert "$.data" == refusal(recorder, data="é" * (MAX_BYTES // 2))[0]
    assert "$.meta" == refusal(recorder, meta={"a": "x" * MAX_BYTES})[0]
    half = "x" * (MAX_BYTES // 2)
    together = ("$", f"data and meta exceed {MAX_BYTES} bytes of JSON")
    assert together == refusal(recorder, data=half, meta={"a": half})


class SmallStorage(MemoryStorage):
    """Keeps only small events."""

    @property
    def capabilities(self):
        """At most 100 bytes."""
        return attrs.evolve(super().capabilities, max_event_bytes=100)


def test_the_limit_is_that_of_the_storage():
    """A backend says what it can keep."""
    with Recorder(SmallStorage()) as recorder:
        assert "$.data" == refusal(recorder, data="x" * 99)[0]
        assert "x" * 98 == recorder.record("weather", "x" * 98).data


@pytest.mark.parametrize(
    ("ts", "canonical"),
    [
        ("2026-03-18t00:05:48z", "2026-03-18T00:05:48.000Z"),
        ("2026-03-17T14:05:48.5-10:00", "2026-03-18T00:05:48.500Z"),
        ("2026-03-18T00:05:48.123456789Z", "2026-03-18T00:05:48.123456789Z"),
        (datetime(2026, 3, 18, 0, 5, 48, 5, UTC), "2026-03-18T00:05:48.000005Z"),
        (
            datetime(2026, 3, 18, 5, 50, 48, tzinfo=timezone(timedelta(hours=5, minutes=45))),
            "2026-03-18T00:05:48.000Z",
        ),
    ],
)
def test_a_time_may_be_text_or_a_datetime(recorder, ts, canonical):
    """It is kept in one form."""
    assert canonical == recorder.record("weather", 1, ts=ts).ts


@pytest.mark.parametrize(
    ("ts", "message"),
    [
        ("", "is no RFC 3339 time"),
        ("banana", "is no RFC 3339 time"),
        ("2026-03-18T00:05:48", "is no RFC 3339 time"),
        ("2026-02-30T00:00:00Z", "is no real instant"),
        ("2262-01-01T00:00:00Z", "is outside the years 1678 to 2261"),
        (datetime(2026, 3, 18), "has no zone"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), "is no instant in UTC"),
        (datetime(1600, 1, 1, tzinfo=UTC), "is outside the years"),
        (date(2026, 3, 18), "is no time: give RFC 3339 text or a datetime"),
        (1_773_792_348.955, "is no time"),
        (b"2026-03-18T00:05:48Z", "is no time"),
        (True, "is no time"),
    ],
)
def test_what_is_no_time_is_refused(recorder, ts, message):
    """The message says why."""
    path, told = refusal(recorder, ts=ts)
    assert "$.ts" == path
    assert message in told


@pytest.mark.parametrize("meta", [[], [1], "x", 5, True, {1, 2}])
def test_meta_is_an_object(recorder, meta):
    """Any mapping; nothing else."""
    path, message = refusal(recorder, meta=meta)
    assert "$.meta" == path
    assert message.startswith("must be an object, not ")


def test_any_mapping_may_be_meta(recorder):
    """Its keys become text as those of data do."""
    assert {"a": 1} == recorder.record("weather", 1, meta=MappingProxyType({"a": 1})).meta
    assert {"1": 2} == recorder.record("weather", 1, meta={1: 2}).meta
    assert {} == recorder.record("weather", 1, meta={}).meta


@pytest.mark.parametrize("value", [0, 1, None, "true", "yes"])
@pytest.mark.parametrize("field", ["make_current", "store_permanently"])
def test_a_wish_is_true_or_false(recorder, field, value):
    """Nothing is coerced."""
    told = refusal(recorder, **{field: value})
    assert (f"$.{field}", f"must be true or false, not {value!r}") == told


@pytest.mark.parametrize("stream", ["run", "", "Site", 5, True])
def test_there_is_one_stream_to_name(recorder, stream):
    """`"site"`; a run's stream is where events go by themselves."""
    path, message = refusal(recorder, stream=stream)
    assert "$.stream" == path
    assert "is no stream; use 'site' or leave it out" in message


@attrs.frozen
class Reading:
    """A class of a program's own."""

    value: object


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (object(), "$.data"),
        ({"a": [1, object()]}, "$.data.a[1]"),
        ({"a": ({"b": b"x"},)}, "$.data.a[0].b"),
        ([Reading(object())], "$.data[0]"),
        ({"a": {(1, 2): 3}}, "$.data.a"),
        ({object(): 1}, "$.data"),
    ],
)
def test_what_has_no_json_is_refused_with_its_place(recorder, data, path):
    """The innermost part that cannot be expressed, and what it is."""
    found, message = refusal(recorder, data=data)
    assert path == found
    assert "; got " in message
    assert "$.meta" + path.removeprefix("$.data") == refusal(recorder, meta={"a": data})[0].replace(
        "$.meta.a", "$.meta", 1
    )


def test_a_value_that_contains_itself_is_refused(recorder):
    """It would have no end."""
    endless = []
    endless.append(endless)
    assert refusal(recorder, data=endless)[0].startswith("$.data")


def test_a_converter_that_fails_refuses_the_event():
    """With what it said, and the place."""

    class Teacher:
        @hookimpl
        def telemetry_configure_converter(self, converter):
            converter.register_unstructure_hook(Reading, lambda one: one.value.imaginary)

    with telemetry_core.open("memory:", plugins=[Teacher()]) as recorder:
        path, _ = refusal(recorder, data={"a": [Reading(1)]})
    assert "$.data.a[0]" == path


def test_values_of_classes_are_looked_into(strict, recorder):
    """A NaN in an object of a program's own is found like any other."""
    assert refusal(strict, data=[Reading(math.nan)])[0].startswith("$.data[0]")
    assert [{"value": None}] == recorder.record("weather", [Reading(math.nan)]).data
    assert 1 == recorder.nulled


class Colour(enum.Enum):
    """An enumeration of values that JSON knows."""

    RED = "red"
    NONE = None


def test_enumerations_are_their_values(strict):
    """Also one whose value is null."""
    assert ["red", None] == strict.record("weather", [Colour.RED, Colour.NONE]).data


def test_text_of_a_subclass_is_text(recorder):
    """As a type, in data, as an id."""

    class Name(str):
        __slots__ = ()

    event = recorder.record(Name("weather"), {Name("a"): Name("b")}, id=Name("x"))
    assert ("weather", {"a": "b"}, "x") == (event.type, event.data, event.id)
    assert [event] == list(recorder.history(types="weather"))


def test_very_many_types_may_be_used(recorder):
    """More than are remembered as known; each is checked all the same."""
    recorder.record_many(Draft(f"type{number}", number) for number in range(10_050))
    assert 10_050 == len(recorder.current())
    with pytest.raises(InvalidEventError):
        recorder.record("a\n", 1)
