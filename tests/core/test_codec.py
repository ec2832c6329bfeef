"""The shape of things in JSON: strict reading, one-line writing, structuring with its paths."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from attrs import field, frozen, validators

from telemetry_core import InvalidEventError, MalformedJSONError, Problem
from telemetry_core.codec import event_dict, event_json, make_converter, problems_of, read_json
from telemetry_core.events import make_event


@frozen
class Pier:
    """A part of a site."""

    name: str
    height_m: float = 1.0


@frozen
class Site:
    """What a program of its own might structure."""

    name: str
    is_open: bool = True
    piers: list[Pier] = field(factory=list)
    altitude_m: int = field(default=0, validator=validators.in_((0, 3400)))
    meta: dict[str, Any] = field(factory=dict)
    extra: Mapping[str, Any] = field(factory=dict)
    nickname: str | None = None


def problems_in(value, kind=Site):
    """Return what structuring *value* finds wrong, by path."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  # cattrs raises groups
        make_converter().structure(value, kind)
    return {problem.path: problem.message for problem in problems_of(caught.value)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"null", None),
        (b' [1, -2.5, true, "a"] ', [1, -2.5, True, "a"]),
        ('{"a": {"b": []}}', {"a": {"b": []}}),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("-0", 0),
        ("1e308", 1e308),
        ("1e-400", 0.0),
        ('"\\u00e9\\ud83d\\udd2d"', "é🔭"),
        ('"\\u0000"', "\0"),
        ('{"a": 1, "A": 2, "": 3}', {"a": 1, "A": 2, "": 3}),
    ],
)
def test_json_is_read(text, value):
    """As bytes or as text, whatever stands at the top."""
    assert value == read_json(text)
    assert type(value) is type(read_json(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "Expecting value at character 0"),
        (b"{'a': 1}", "at character 1"),
        (b"[1,]", "at character"),
        (b"[1] x", "Extra data at character 4"),
        (b"01", "Extra data"),
        (b"NaN", "NaN is not JSON; use null"),
        (b'{"a": [-Infinity]}', "-Infinity is not JSON; use null"),
        (b"Infinity", "Infinity is not JSON"),
        (b'"a\nb"', "Invalid control character"),
        (b'["\xff"]', "not UTF-8 at byte 2"),
        ("\ufeff{}".encode(), "BOM"),
        ('"a"'.encode("utf-16"), "not UTF-8 at byte 0"),
        (b'"\xed\xa0\x80"', "not UTF-8 at byte 1"),
    ],
)
def test_what_is_no_json_is_malformed(text, message):
    """The message says where."""
    with pytest.raises(MalformedJSONError) as caught:
        read_json(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("malformed JSON: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "$: the key 'a' stands twice in one object"),
        ('[{"x": {"k": 1, "k": 1}}]', "the key 'k' stands twice"),
        ('{"a": 1, "\\u0061": 2}', "the key 'a' stands twice"),
        (
            "18446744073709551616",
            "$: the integer 18446744073709551616 is outside of -2^63 to 2^64-1",
        ),
        ("[-9223372036854775809]", "the integer -9223372036854775809 is outside"),
        ("9" * 5000, "the integer 9999999999999999999999999999999999999999 is outside"),
        ("1e309", "$: the number 1e309 is beyond what 64 bits hold"),
        ("[-1e999]", "the number -1e999 is beyond"),
        ("[" * 100_000 + "]" * 100_000, "$: nested deeper than 100 levels"),
        ('{"a":' * 100_000, "nested deeper than 100 levels"),
    ],
)
def test_json_that_could_not_be_read_back_is_refused(text, message):
    """Each would become something else than was sent, in silence."""
    with pytest.raises(InvalidEventError) as caught:
        read_json(text)
    assert message in str(caught.value)


def test_a_key_is_found_twice_among_very_many():
    """One pass is enough, so that nobody can keep the reader busy for hours with a megabyte."""
    keys = ",".join(f'"{number:x}":0' for number in range(400_000))
    with pytest.raises(InvalidEventError, match="the key '61a7f' stands twice"):
        read_json(f'{{{keys},"61a7f":0}}')


def test_an_event_becomes_one_line_of_five_keys():
    """In this order, compact, its data and meta spliced in as they are."""
    event = make_event(
        7,
        "2026-03-18T00:05:48.955Z",
        'a"é/b',
        b'{"deg":1.50}',
        b'{"run_id":"001"}',
        "id-1",
        make_current=False,
        store_permanently=False,
        is_duplicate=True,
    )
    assert (
        '{"seq":7,"ts":"2026-03-18T00:05:48.955Z","type":"a\\"é/b",'
        '"data":{"deg":1.50},"meta":{"run_id":"001"}}'
    ) == event_json(event).decode()


def test_an_event_becomes_a_dictionary_of_five_keys():
    """Its values are decoded afresh: changing them changes no event."""
    event = make_event(7, "2026-03-18T00:05:48.955Z", "weather", b'{"deg":[1]}')
    found = event_dict(event)
    assert ["seq", "ts", "type", "data", "meta"] == list(found)
    assert orjson.loads(event_json(event)) == found
    found["data"]["deg"].append(2)
    assert {"deg": [1]} == event.data


def test_what_has_the_right_types_is_structured():
    """Nested classes, objects of any JSON, and an integer where a float is wanted."""
    value = {
        "name": "PAN001",
        "is_open": False,
        "piers": [{"name": "north", "height_m": 2}],
        "altitude_m": 3400,
        "meta": {"any": [1, None]},
        "extra": {"a": {}},
        "nickname": None,
    }
    site = make_converter().structure(value, Site)

    assert Site("PAN001", False, [Pier("north", 2.0)], 3400, {"any": [1, None]}, {"a": {}}) == site  # noqa: FBT003
    assert isinstance(site.piers[0].height_m, float)


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ({"name": 1}, "$.name", "must be a string, not 1"),
        ({"name": None}, "$.name", "must be a string, not None"),
        ({"name": "a", "is_open": 0}, "$.is_open", "must be true or false, not 0"),
        ({"name": "a", "altitude_m": "1"}, "$.altitude_m", "must be an integer, not '1'"),
        ({"name": "a", "altitude_m": True}, "$.altitude_m", "must be an integer, not True"),
        ({"name": "a", "altitude_m": 1.0}, "$.altitude_m", "must be an integer, not 1.0"),
        ({"name": "a", "meta": [1]}, "$.meta", "must be an object, not [1]"),
        ({"name": "a", "extra": "x"}, "$.extra", "must be an object, not 'x'"),
        ({"name": "a", "nickname": 5}, "$.nickname", "must be a string, not 5"),
        ({}, "$.name", "the field 'name' is missing"),
        (
            {"name": "a", "piers": [{"name": "n"}, {}]},
            "$.piers[1].name",
            "the field 'name' is missing",
        ),
        (
            {"name": "a", "piers": [{"name": "n", "height_m": "2"}]},
            "$.piers[0].height_m",
            "must be a number, not '2'",
        ),
        (
            {"name": "a", "piers": [{"name": "n", "height_m": False}]},
            "$.piers[0].height_m",
            "must be a number, not False",
        ),
        (
            {"name": "a", "piers": [{"name": "n", "b": 1, "a": 2}]},
            "$.piers[0]",
            "no field named 'a', 'b'; there are name, height_m",
        ),
        (
            {"name": "a", "altitude_m": 5},
            "$",
            "'altitude_m' must be in (0, 3400) (got 5)",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_path(value, path, message):
    """Nothing is coerced, and nobody has to read a traceback."""
    assert {path: message} == problems_in(value)


def test_everything_wrong_is_told_at_once():
    """Each with its own path."""
    value = {"name": 1, "is_open": "yes", "piers": [{"name": 2}]}
    assert {"$.name", "$.is_open", "$.piers[0].name"} == set(problems_in(value))


def test_a_long_value_is_cut_in_the_message():
    """A megabyte in the wrong place does not become a megabyte of message."""
    assert len(problems_in({"name": ["x" * 1000]})["$.name"]) < 150


def test_plugins_teach_a_converter():
    """Each once, in the order given."""
    taught = []
    make_converter(
        [lambda converter: taught.append(("one", converter)), lambda _: taught.append(2)]
    )
    assert ("one", 2) == (taught[0][0], taught[1])


def test_a_problem_reads_as_its_path_and_message():
    """The form of every message at every edge."""
    assert "$.name: must be a string, not 1" == str(Problem("$.name", "must be a string, not 1"))
