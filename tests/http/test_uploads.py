"""Taking bodies apart: whatever the pieces, the texts are those of the whole."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_http.uploads import LONGEST, Elements, Lines

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def split(splitter, body, cuts):
    """Return the texts that *splitter* finds in *body*, which comes in pieces cut at *cuts*."""
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    found = []
    for start, end in itertools.pairwise(places):
        found += splitter.feed(body[start:end])
    return found + splitter.end()


CUTS = st.lists(st.integers(0, 10_000), max_size=12)


@given(st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line)), CUTS)
def test_lines_are_found_in_any_pieces(lines, cuts):
    """A line break ends a line, and the last one may lack it."""
    assert [*lines] == split(Lines(), b"".join(line + b"\n" for line in lines), cuts)
    if lines and lines[-1]:
        assert [*lines] == split(Lines(), b"\n".join(lines), cuts)


@given(st.lists(VALUES, max_size=4), st.sampled_from([None, 1]), st.booleans(), CUTS)
def test_elements_are_found_in_any_pieces(values, indent, ascii_only, cuts):
    """Compact or not, in ASCII or not; each text is the JSON of its element."""
    body = f" {json.dumps(values, indent=indent, ensure_ascii=ascii_only)}\n".encode(
        "utf-8", "surrogatepass"
    )
    splitter = Elements()

    texts = split(splitter, body, cuts)

    assert splitter.broken is None
    assert values == [json.loads(text.decode("utf-8", "surrogatepass")) for text in texts]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("", 0),
        ("{}", 0),
        ("1", 0),
        ("[", 0),
        ("[1", 1),
        ("[1,", 1),
        ("[1,]", 1),
        ("[,1]", 0),
        ("[1 2]", 1),
        ("[1]]", 1),
        ("[1],", 1),
        ("[1][", 1),
        ('[{"a":1},{"a"', 1),
        ('["a\n"]', 0),
        ("[" * 100_000, 0),
        ("\ufeff[1]", 0),
    ],
)
def test_a_broken_list_gives_what_stands_before_the_break(body, found):
    """And says that it is broken."""
    splitter = Elements()

    texts = split(splitter, body.encode(), [])

    assert found == len(texts)
    assert splitter.broken


def test_bytes_that_are_no_utf8_reach_who_judges_the_element():
    """Only the element that holds them is bad."""
    assert [b'"\xff"', b"1"] == split(Elements(), b'["\xff", 1]', [])


def test_a_line_without_end_is_not_kept():
    """It is cut where no event can be so long, and the next line is found."""
    splitter = Lines()
    for _ in range(40):
        assert [] == splitter.feed(b"x" * 100_000)

    long, short = splitter.feed(b"\nnext\n")

    assert LONGEST + 1 == len(long)
    assert b"next" == short


def test_an_element_without_end_breaks_the_list():
    """Before it takes more than a bounded part of the memory."""
    splitter = Elements()
    splitter.feed(b'["')
    pieces = 0
    while splitter.broken is None:
        splitter.feed(b"x" * 100_000)
        pieces += 1
        assert pieces < 40
