"""`telemetry check`: what a user is told of a site directory."""

import pytest


@pytest.fixture
def site(telemetry, tmp_path):
    """A site directory with two events in one file."""
    place = tmp_path / "site"
    telemetry("record", "-", "--storage", place, given=b'{"type":"a","data":1}\n' * 2)
    return place


def test_a_sound_directory_is_told(telemetry, site):
    """A line for each file on stdout, the sum on stderr."""
    done = telemetry("check", site)

    (row,) = done.rows
    assert (0, ["2", "1", "2", "0"]) == (done.code, row[1:])
    assert "2 events in 1 files, 0 seqs not stored; sound\n" == done.err


def test_damage_is_told_and_repaired(telemetry, site):
    """With its place; the exit code is 1 until a check finds nothing more."""
    (path,) = site.glob("site_*.ndjson")
    path.write_bytes(b"{torn\n" + path.read_bytes())
    found = telemetry("check", site)
    repaired = telemetry("check", "--repair", site)
    again = telemetry("check", site)

    assert (1, 1, 0) == (found.code, repaired.code, again.code)
    assert f"damaged: {path.name}, offset 0, 5 bytes: " in found.err
    assert not found.err.endswith("sound\n")


def test_json_says_whether_it_is_sound(telemetry, site):
    """As one document."""
    found = telemetry("check", "--json", site).json
    assert found["sound"]
    assert [2] == [each["events"] for each in found["files"]]


def test_a_directory_that_is_not_there_is_a_usage_error(telemetry):
    """Nothing is made for it."""
    assert 2 == telemetry("check", "nowhere").code
