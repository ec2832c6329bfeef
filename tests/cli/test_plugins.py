"""`telemetry plugins`: what is installed, and why something is not active."""

import pytest

from telemetry_core import __version__

COLLECTOR = """
from telemetry_core import CollectorType, hookimpl
@hookimpl
def telemetry_register_collector():
    {body}
"""


def test_every_plugin_has_a_line(telemetry):
    """Ours first: name, distribution, version, state and hooks."""
    rows = telemetry("plugins").rows
    plugins = {row[0]: row[1:] for row in rows if len(row) == 5}

    assert {"converters", "memory", "ndjson", "host", "http", "migrate"} <= set(plugins)
    own = ["telemetry_core", __version__, "active", "telemetry_register_storage"]
    assert own == plugins["memory"]
    assert "telemetry_register_commands" in plugins["http"][3]


def test_storages_and_collectors_have_a_line(telemetry):
    """What they are, their name, and a summary."""
    found = [row[:2] for row in telemetry("plugins").rows if len(row) == 3]
    for each in (["storage", "memory"], ["storage", "ndjson"], ["collector", "host"]):
        assert each in found


def test_json_is_one_document(telemetry):
    """With the same facts by name."""
    found = telemetry("plugins", "--json").json

    assert ["plugins", "storages", "collectors"] == list(found)
    assert {"memory", "ndjson"} <= {each["scheme"] for each in found["storages"]}
    assert "host" in {each["name"] for each in found["collectors"]}
    host = next(each for each in found["plugins"] if each["name"] == "host")
    assert {
        "name": "host",
        "distribution": "telemetry_host",
        "version": __version__,
        "active": True,
        "reason": None,
        "hooks": ["telemetry_register_collector"],
    } == host


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of"),
        ("from telemetry_core import hookimpl\n@hookimpl\ndef telemetry_x(): pass", "telemetry_x"),
        (COLLECTOR.format(body="raise OSError('no bus')"), "telemetry_register_collector: OSErr"),
    ],
)
def test_a_plugin_that_fails_is_not_active(telemetry, install, code, reason):
    """The line says why; the others are active."""
    install("bad", code)
    done = telemetry("plugins", "--json")
    by_name = {each["name"]: each for each in done.json["plugins"]}

    assert 0 == done.code
    assert not by_name["bad"]["active"]
    assert reason in by_name["bad"]["reason"]
    assert by_name["host"]["active"]
    assert 1 == done.err.count("\n")


def test_a_plugin_that_is_not_allowed_is_not_active(whole):
    """The variable is named."""
    done = whole("plugins", "--json", TELEMETRY_LOAD_PLUGINS="http")
    reasons = {each["name"]: each["reason"] for each in done.json["plugins"]}

    assert None is reasons["http"]
    assert "not among TELEMETRY_LOAD_PLUGINS" == reasons["host"]
    assert "" == done.err
