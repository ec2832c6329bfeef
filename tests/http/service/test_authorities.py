"""Two spellings of one host are equal, and what is no host is none."""

import pytest

from telemetry_http.authorities import Authority, read_authority, read_host, read_origin


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost", "localhost", None),
        ("LocalHost:6562", "localhost", 6562),
        ("obs.example.", "obs.example", None),
        ("obs.example.:443", "obs.example", 443),
        ("127.0.0.1", "127.0.0.1", None),
        ("[::1]", "::1", None),
        ("[::1]:6562", "::1", 6562),
        ("[0:0:0:0:0:0:0:1]:80", "::1", 80),
        ("[2001:DB8::0:1]", "2001:db8::1", None),
    ],
)
def test_a_host_has_one_spelling(text, host, port):
    """Case, the dot of a whole name and the zeros of an address make no other host."""
    assert Authority(host, port) == read_authority(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", ":80", "a:", "a:0", "a:x", "a:65536", "a:1:2", "::1", "::1:80", "[::1", "[a]"),
        *("a@b", "a/b", "a?b", "a#b", "a b", "a\tb", "é.example", "http://a", "[::1]x", "a\x00b"),
    ],
)
def test_what_is_no_host_is_none(text):
    """A proxy or a browser would read it otherwise than we do."""
    assert read_authority(text) is None


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("http://a", "a", 80), ("https://A:443", "a", 443), ("http://[::1]:8", "::1", 8)],
)
def test_an_origin_has_the_port_of_its_scheme(text, host, port):
    """Browsers leave it out."""
    assert (text.partition(":")[0], Authority(host, port)) == read_origin(text)


@pytest.mark.parametrize("text", ["", "null", "a", "ftp://a", "http://", "http://a/", "file:///a"])
def test_what_is_no_origin_is_none(text):
    """`null` is what a page without an origin sends."""
    assert read_origin(text) is None


@pytest.mark.parametrize(("text", "host"), [("::1", "::1"), ("[::1]:5", "::1"), ("A", "a")])
def test_a_user_may_leave_out_the_brackets(text, host):
    """On a command line nothing follows an address."""
    assert host == read_host(text).host


def test_a_port_narrows_what_is_ours():
    """A host without a port is ours on every port."""
    assert Authority("a").covers(Authority("a", 5))
    assert Authority("a", 5).covers(Authority("a", 5))
    assert not Authority("a", 5).covers(Authority("a"))
    assert not Authority("a", 5).covers(Authority("a", 6))
