"""What a terminal is shown of somebody's data, and what a pipe gets."""

import json

import pytest

from telemetry_core.cli.output import printable

HOSTILE = "a\x9b31mb\x7fc\u2028d\u202ee\U000e0001f"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünï☃", "plain ünï☃"),
        ("tab\tline\nend", r"tab\tline\nend"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("\u2028\u202e\U000e0001", r"\u2028\u202e\U000e0001"),
    ],
)
def test_what_could_steer_a_terminal_is_spelled_out(text, shown):
    """Colours, line breaks, the other direction of writing: all of it as its code."""
    assert shown == printable(text)


@pytest.fixture
def site(telemetry, tmp_path):
    """A storage with hostile text in an event and in a run."""
    place = tmp_path / "site"
    telemetry("record", "hostile", json.dumps(HOSTILE), "--storage", place)
    telemetry("runs", "start", "M42", "--meta", f"note={HOSTILE}", "--storage", place)
    telemetry("runs", "stop", "--reason", "a\tb\n\x1b[31m", "--storage", place)
    return place


@pytest.mark.parametrize(
    "words",
    [
        ("current",),
        ("current", "--json"),
        ("current", "hostile", "--json"),
        ("runs", "list"),
        ("runs", "list", "--json"),
        ("runs", "show", "M42"),
        ("runs", "show", "M42", "--json"),
        ("record", "hostile", json.dumps(HOSTILE), "--json"),
    ],
)
def test_no_output_can_steer_a_terminal(telemetry, site, words):
    """In lines and in JSON alike: only tabs between cells and ends of lines are left."""
    done = telemetry(*words, "--storage", site)

    assert 0 == done.code
    assert "" != done.out
    assert all(each.isprintable() or each in "\t\n" for each in done.out)


def test_json_says_the_same_value(telemetry, site):
    """What is spelled out is read back as what was recorded."""
    done = telemetry("current", "hostile", "--json", "--storage", site)
    assert HOSTILE == done.json["data"]


def test_a_row_has_as_many_cells_as_columns(telemetry, site):
    """A tab or a line break in the data makes no cell and no row."""
    assert [4] == [len(row) for row in telemetry("current", "--storage", site).rows]
    (run,) = telemetry("runs", "list", "--storage", site).rows
    assert ["M42", "completed", r"a\tb\n\x1b[31m"] == [run[0], run[1], run[5]]


def test_no_message_can_steer_a_terminal(telemetry):
    """Also an error that repeats what it was given."""
    done = telemetry("current", "--storage", "nowhere\x1b[31m\nTraceback")

    assert 4 == done.code
    assert all(each.isprintable() for each in done.err.removesuffix("\n"))
