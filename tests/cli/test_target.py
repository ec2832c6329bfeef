"""Where a command goes: the options and the environment that say it, and what may be wrong."""

import pytest


@pytest.fixture
def nobody(whole):
    """Return a function that asks where nobody answers, and tells the address it tried."""

    def ask(*words, **env):
        done = whole("current", *words, **env)
        assert (4, "") == (done.code, done.out)
        assert "is `telemetry run` started there?" in done.err
        return done.err.split()[4].rstrip(":")

    return ask


@pytest.mark.parametrize(
    ("words", "env", "address"),
    [
        ((), {"TELEMETRY_PORT": "1"}, "http://localhost:1"),
        ((), {"PANOPTES_TELEMETRY_PORT": "1"}, "http://localhost:1"),
        ((), {"TELEMETRY_PORT": "1", "PANOPTES_TELEMETRY_PORT": "2"}, "http://localhost:1"),
        ((), {"TELEMETRY_PORT": "", "PANOPTES_TELEMETRY_PORT": "1"}, "http://localhost:1"),
        (("--port", 1), {"TELEMETRY_PORT": "2"}, "http://localhost:1"),
        (("--port", 1), {"TELEMETRY_HOST": "127.0.0.1"}, "http://127.0.0.1:1"),
        (("--port", 1), {"PANOPTES_TELEMETRY_HOST": "127.0.0.1"}, "http://127.0.0.1:1"),
        (("--port", 1, "--host", "::1"), {"TELEMETRY_HOST": "127.0.0.1"}, "http://[::1]:1"),
    ],
)
def test_the_command_line_wins_over_the_environment(nobody, words, env, address):
    """And of two variables the one without PANOPTES."""
    assert address == nobody(*words, **env)


@pytest.mark.parametrize("name", ["TELEMETRY_PORT", "PANOPTES_TELEMETRY_PORT"])
def test_a_port_that_is_none_is_a_usage_error(whole, name):
    """Also where the environment says it."""
    done = whole("current", **{name: "none"})
    assert (2, "") == (done.code, done.out)
    assert "'none'" in done.err
    assert name in done.err


@pytest.mark.parametrize("words", [("--port", 1), ("--host", "localhost")])
def test_a_storage_goes_without_a_service(telemetry, words):
    """Both on one command line contradict each other; a variable does not."""
    done = telemetry("current", "--storage", "site", *words)
    assert 2 == done.code
    assert f"--storage goes without a service; leave out {words[0]}" in done.err


def test_a_variable_does_not_contradict_a_storage(whole):
    """The environment of a whole machine may name a service."""
    done = whole("record", "a", "1", "--storage", "site", TELEMETRY_PORT="1", TELEMETRY_HOST="no")
    assert 0 == done.code


def test_a_storage_that_cannot_be_read_only_is_read(telemetry):
    """A kind of storage need not know `read_only`; it is opened as it can be."""
    done = telemetry("current", "--storage", "memory:")
    assert (0, "", "nothing was recorded yet\n") == (done.code, done.out, done.err)


def test_reading_needs_no_lock(telemetry, service):
    """A site that a service writes can be read beside it, and not be written."""
    telemetry("record", "weather", "1", *service.at)
    read = telemetry("current", "weather", "--json", "--storage", service.site_dir)
    written = telemetry("record", "weather", "2", "--storage", service.site_dir)

    assert 1 == read.json["data"]
    assert (5, "") == (written.code, written.out)
    assert f"process {service.running.process.pid}" in written.err


@pytest.mark.parametrize("words", [("current",), ("runs", "list"), ("current", "--follow")])
def test_reading_makes_no_directory(telemetry, tmp_path, words):
    """A mistyped path is told, and stays nothing."""
    done = telemetry(*words, "--storage", tmp_path / "mistyped")

    assert (4, "") == (done.code, done.out)
    assert f"the storage '{tmp_path}/mistyped' cannot be used: no such directory" in done.err
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nope://x", "no storage named 'nope'; installed: 'http', 'https'"),
        ("memory:?frob=1", "memory: no field named 'frob'; there are url"),
        (
            "ndjson:site?durability=sometimes",
            "ndjson: 'durability' must be in ('os', 'interval', 'always') (got 's",
        ),
        ("ndjson:site?timezone=Nowhere", "ndjson: no time zone named 'Nowhere'"),
    ],
)
def test_a_storage_that_cannot_be_meant_is_a_usage_error(telemetry, url, said):
    """The message says which storages, or which settings, there are."""
    done = telemetry("record", "a", "1", "--storage", url)

    assert (2, "") == (done.code, done.out)
    assert said in done.err
