"""Finding plugins by their entry points, loading them one by one, opening a storage by URL."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import field, frozen, validators

import telemetry_core
from telemetry_core import (
    Plugins,
    SettingsError,
    StorageReadOnlyError,
    StorageType,
    UnknownStorageError,
    hookimpl,
)
from telemetry_core.memory import MemoryStorage
from telemetry_core.plugins import is_allowed, split_url, url_path

STORAGE = """
from telemetry_core import StorageType, hookimpl
from telemetry_core.memory import MemorySettings, MemoryStorage

@hookimpl
def telemetry_register_storage():
    return StorageType(scheme="{}", summary="s", settings=MemorySettings, open=MemoryStorage)
"""
OBSERVER = """
from telemetry_core import hookimpl

@hookimpl
def telemetry_event_recorded(event):
    pass
"""
EMPTY_HANDED = """
from telemetry_core import hookimpl

@hookimpl
def telemetry_register_storage():
    import a_driver_that_is_missing
"""
MISSPELT = "from telemetry_core import hookimpl\n@hookimpl\ndef telemetry_recordet(): pass"
TOO_MANY = "from telemetry_core import hookimpl\n@hookimpl\ndef telemetry_run_started(run, x): pass"


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a program where plugins are installed, and what it printed."""

    def install(name, code):
        (tmp_path / f"plugin_of_{name}.py").write_text(code, "utf-8")
        info = tmp_path / f"telemetry_{name}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: telemetry-{name}\nVersion: 1.5\n", "utf-8")
        entry = f"[telemetry_core]\n{name} = plugin_of_{name}\n"
        (info / "entry_points.txt").write_text(entry, "utf-8")

    def run_program(program, allowed=None, **plugins):
        for name, code in plugins.items():
            install(name, code)
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        environment.pop("TELEMETRY_LOAD_PLUGINS", None)
        if allowed is not None:
            environment["TELEMETRY_LOAD_PLUGINS"] = allowed
        done = subprocess.run(
            [sys.executable, "-c", f"import json, sys, telemetry_core\n{program}"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        return json.loads(done.stdout)

    return run_program


REPORTS = """
from telemetry_core import Plugins
plugins = Plugins()
plugins.load_installed()
print(json.dumps({
    one.name: [one.reason, one.hooks, one.distribution, one.version]
    for one in plugins.reports
    if one.module.startswith("plugin_of_")
}))
"""


def test_one_open_loads_one_plugin(run):
    """The one whose entry point carries the scheme; nothing else is imported."""
    program = """
telemetry_core.open("MINE://somewhere").close()
print(json.dumps([name for name in sys.modules if name.startswith("plugin_of_")]))
"""
    loaded = run(program, mine=STORAGE.format("mine"), other=OBSERVER, broken="raise RuntimeError")
    assert ["plugin_of_mine"] == loaded


def test_an_installed_plugin_costs_nothing_until_it_is_asked_for(run):
    """Opening our own storages imports nobody."""
    program = """
telemetry_core.open("memory:").close()
print(json.dumps([name for name in sys.modules if name.startswith("plugin_of_")]))
"""
    assert [] == run(program, memories=OBSERVER, other=OBSERVER)


def test_each_plugin_is_reported(run):
    """With its hooks, or the reason why it is not active, and where it comes from."""
    reports = run(
        REPORTS,
        good=STORAGE.format("good"),
        watching=OBSERVER,
        broken="raise RuntimeError('at import')",
        exiting="raise SystemExit('needs a licence')",
        misspelt=MISSPELT,
        toomany=TOO_MANY,
        emptyhanded=EMPTY_HANDED,
    )
    good = [None, ["telemetry_register_storage"], "telemetry-good", "1.5"]
    assert good == reports.pop("good")
    assert [None, ["telemetry_event_recorded"]] == reports.pop("watching")[:2]
    reasons = {name: reason for name, (reason, hooks, *_) in reports.items() if not hooks}
    assert "RuntimeError: at import" == reasons.pop("broken")
    assert "SystemExit: needs a licence" == reasons.pop("exiting")
    assert "telemetry_recordet" in reasons.pop("misspelt")
    assert "telemetry_run_started" in reasons.pop("toomany")
    assert "ModuleNotFoundError: No module named 'a_driver_that_is_missing'" == reasons.pop(
        "emptyhanded"
    )
    assert {} == reasons


def test_a_plugin_that_fails_costs_the_others_nothing(run):
    """Storages and observers of the others are there; each failure is one warning."""
    program = """
import logging
warnings = []
handler = logging.Handler()
handler.emit = lambda record: warnings.append(record.getMessage())
logging.getLogger("telemetry_core").addHandler(handler)
plugins = telemetry_core.Plugins()
plugins.load_installed()
plugins.load_installed()
recorder = telemetry_core.open("good:", plugins=plugins)
recorder.record("weather", 1)
telemetry_core.open("memory:", plugins=plugins).close()
names = [name for name, _ in plugins.manager.list_name_plugin()]
print(json.dumps([sorted(names), warnings]))
"""
    names, warnings = run(
        program,
        allowed="good,misspelt,emptyhanded, exiting ",
        good=STORAGE.format("good"),
        misspelt=MISSPELT,
        emptyhanded=EMPTY_HANDED,
        exiting="raise SystemExit",
    )
    assert ["converters", "good", "memory", "ndjson"] == names
    for name in ("misspelt", "emptyhanded", "exiting"):
        assert 1 == sum(f"plugin {name!r} cannot be loaded" in one for one in warnings)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named"),
        ("1 +", "SyntaxError"),
        (EMPTY_HANDED, "ModuleNotFoundError: No module named 'a_driver"),
        (MISSPELT, "telemetry_recordet"),
        ("raise SystemExit('needs a licence')", "SystemExit: needs a licence"),
    ],
)
def test_the_plugin_that_was_asked_for_says_why_it_fails(run, code, reason):
    """As an error of ours, which is an ImportError."""
    program = """
try:
    telemetry_core.open("mine:")
except telemetry_core.PluginLoadError as error:
    assert isinstance(error, ImportError)
    print(json.dumps([error.plugin, error.reason, str(error)]))
"""
    plugin, told, message = run(program, mine=code)
    assert "mine" == plugin
    assert reason in told
    assert f"plugin 'mine' cannot be loaded: {told}" == message


def test_the_user_may_interrupt_a_plugin_that_takes_for_ever(run):
    """That is no fault of the plugin's, and no report."""
    program = """
plugins = telemetry_core.Plugins()
try:
    plugins.load_installed()
except KeyboardInterrupt:
    print(json.dumps("mine" in {one.name for one in plugins.reports}))
"""
    assert not run(program, allowed="mine", mine="raise KeyboardInterrupt")


def test_only_the_allowed_plugins_are_loaded(run):
    """What is not among them is reported, and not imported."""
    program = (
        REPORTS + "assert 'plugin_of_two' not in sys.modules and 'plugin_of_one' in sys.modules"
    )
    reports = run(program, allowed="one, three", one=OBSERVER, two=OBSERVER)
    assert {"one": None, "two": "not among TELEMETRY_LOAD_PLUGINS"} == {
        name: report[0] for name, report in reports.items()
    }


def test_a_storage_that_is_not_allowed_is_unknown(run):
    """Also when it is asked for by its scheme."""
    program = """
try:
    telemetry_core.open("mine:")
except telemetry_core.UnknownStorageError as error:
    print(json.dumps([error.scheme, error.installed]))
"""
    found = run(program, allowed="", mine=STORAGE.format("mine"))
    assert ["mine", ["memory", "ndjson"]] == found


def test_a_scheme_is_found_under_another_entry_point(run):
    """One plugin may register a storage whose scheme is not its name."""
    program = "telemetry_core.open('mine:').close(); print(json.dumps('opened'))"
    assert "opened" == run(program, drivers=STORAGE.format("mine"))


def test_a_plugin_may_be_asked_for_twice(run):
    """What is loaded stays loaded, also when it opens no such URLs."""
    program = """
plugins = telemetry_core.Plugins()
plugins.load_installed()
try:
    plugins.storage_type("watching")
except telemetry_core.UnknownStorageError as error:
    print(json.dumps([error.installed, plugins.manager.has_plugin("watching")]))
"""
    found = run(program, allowed="watching,good", watching=OBSERVER, good=STORAGE.format("good"))
    assert [["good", "memory", "ndjson"], True] == found


def test_an_unknown_scheme_names_the_installed_ones():
    """All that could be opened."""
    with pytest.raises(UnknownStorageError) as caught:
        Plugins().storage_type("sqlte")
    assert "sqlte" == caught.value.scheme
    assert {"memory", "ndjson"} <= set(caught.value.installed)


@pytest.mark.parametrize(
    ("variable", "allowed"),
    [(None, True), ("", False), ("mine", True), (" a , mine ", True), ("mines", False)],
)
def test_the_allow_list_is_names_and_commas(monkeypatch, variable, allowed):
    """Unset allows everything, empty nothing."""
    monkeypatch.delenv("TELEMETRY_LOAD_PLUGINS", raising=False)
    if variable is not None:
        monkeypatch.setenv("TELEMETRY_LOAD_PLUGINS", variable)
    assert allowed == is_allowed("mine")


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("telemetry", ("ndjson", "telemetry", {})),
        ("/data/site", ("ndjson", "/data/site", {})),
        ("./a?b=c", ("ndjson", "./a?b=c", {})),
        ("C:/site", ("ndjson", "C:/site", {})),
        ("a/b:c", ("ndjson", "a/b:c", {})),
        ("memory:", ("memory", "memory:", {})),
        ("Mine+x://u@h:1/p", ("mine+x", "Mine+x://u@h:1/p", {})),
        ("mine:a?x=1&y=&z=a%20b", ("mine", "mine:a", {"x": "1", "y": "", "z": "a b"})),
    ],
)
def test_a_url_is_split(url, parts):
    """A plain path has no scheme and no options, whatever stands in it."""
    assert parts == split_url(url)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/data/site", "/data/site"),
        ("ndjson:///data/site", "/data/site"),
        ("ndjson:/data/site", "/data/site"),
        ("ndjson:site", "site"),
        ("ndjson://site/a", "site/a"),
        ("ndjson:///data/night #1", "/data/night #1"),
        ("ndjson:///data/[a", "/data/[a"),
        ("ndjson://[a", "[a"),
        ("ndjson:///data/a%20b", "/data/a%20b"),
    ],
)
def test_a_path_in_a_url_is_the_same_place(url, path):
    """Every character of it; a `#` begins no fragment, or two sites would be one directory."""
    assert path == url_path(url)


@frozen(kw_only=True)
class MineSettings:
    """Options of every kind."""

    url: str
    retries: int = 3
    timeout_s: float = field(default=1.0, validator=validators.gt(0))
    is_fast: bool = False
    name: str = ""


class MinePlugin:
    """Registers a storage that remembers its settings."""

    def __init__(self):
        self.settings = None

    @hookimpl
    def telemetry_register_storage(self):
        """Open a memory storage."""
        return StorageType(scheme="mine", summary="", settings=MineSettings, open=self._open)

    def _open(self, settings):
        self.settings = settings
        return MemoryStorage()


@pytest.fixture
def mine():
    """Return the plugin."""
    return MinePlugin()


@pytest.mark.parametrize(
    ("url", "options", "settings"),
    [
        ("mine:place", {}, {"url": "mine:place"}),
        (
            "mine:?retries=5&timeout_s=2.5&is_fast=true&name=a+b",
            {},
            {"url": "mine:", "retries": 5, "timeout_s": 2.5, "is_fast": True, "name": "a b"},
        ),
        ("mine:?timeout_s=2&is_fast=false", {}, {"url": "mine:", "timeout_s": 2.0}),
        ("mine:?name=5", {}, {"url": "mine:", "name": "5"}),
        (
            "mine:",
            {"retries": 5, "is_fast": True, "timeout_s": 2},
            {"url": "mine:", "retries": 5, "is_fast": True, "timeout_s": 2.0},
        ),
        ("mine:?timeout_s=9", {"timeout_s": 0.5}, {"url": "mine:", "timeout_s": 0.5}),
        ("mine:?name=a", {"name": "true"}, {"url": "mine:", "name": "true"}),
        ("mine:", {"read_only": False}, {"url": "mine:"}),
    ],
)
def test_options_come_from_the_url_and_by_keyword(mine, url, options, settings):
    """Text in a URL is read as what is wanted; a keyword is taken as it is, and wins."""
    telemetry_core.open(url, plugins=[mine], **options).close()
    assert MineSettings(**settings) == mine.settings


@pytest.mark.parametrize(
    ("url", "options", "problem"),
    [
        ("mine:?retries=many", {}, "mine.retries: must be an integer, not 'many'"),
        ("mine:?retries=1.5", {}, "mine.retries: must be an integer, not 1.5"),
        ("mine:?timeout_s=soon", {}, "mine.timeout_s: must be a number, not 'soon'"),
        ("mine:?is_fast=yes", {}, "mine.is_fast: must be true or false, not 'yes'"),
        ("mine:", {"retries": "5"}, "mine.retries: must be an integer, not '5'"),
        ("mine:?retries=5", {"retries": 5.5}, "mine.retries: must be an integer, not 5.5"),
        ("mine:", {"timeout_s": 0}, "mine: 'timeout_s' must be > 0: 0.0"),
        (
            "mine:",
            {"speed": 1},
            "mine: no field named 'speed'; there are url, retries, timeout_s, is_fast, name",
        ),
        (
            "mine:",
            {"read_only": True},
            "mine: no field named 'read_only'; there are url, retries, timeout_s, is_fast, name",
        ),
    ],
)
def test_a_wrong_option_is_told_with_its_path(mine, url, options, problem):
    """And nothing is opened."""
    with pytest.raises(SettingsError) as caught:
        telemetry_core.open(url, plugins=[mine], **options)
    assert problem == str(caught.value)
    assert mine.settings is None


def test_every_wrong_option_is_told(mine):
    """In one go."""
    with pytest.raises(SettingsError) as caught:
        telemetry_core.open("mine:?retries=x&is_fast=y", plugins=[mine], name=3)
    assert {"mine.retries", "mine.is_fast", "mine.name"} == {
        problem.path for problem in caught.value.problems
    }


def test_a_path_object_opens_files(tmp_path):
    """A `Path` is a plain path, and reading needs no lock."""
    with telemetry_core.open(tmp_path / "a?b#c") as recorder:
        recorder.record("weather", 1)
        with telemetry_core.open(tmp_path / "a?b#c", read_only=True) as reader:
            assert [1] == [event.data for event in reader.history()]
            with pytest.raises(StorageReadOnlyError):
                reader.record("weather", 2)
    assert [tmp_path / "a?b#c"] == list(Path(tmp_path).iterdir())


def test_plugins_may_be_shared():
    """A `Plugins` that a program made serves any number of recorders."""
    mine = MinePlugin()
    plugins = Plugins([mine])
    with (
        telemetry_core.open("mine:", plugins=plugins),
        telemetry_core.open("mine:", plugins=plugins),
    ):
        assert "mine" in plugins.storage_types()


def test_our_own_storage_keeps_its_name(mine):
    """A plugin cannot take the scheme of another one that was there before."""

    class Thief:
        @hookimpl
        def telemetry_register_storage(self):
            return StorageType(scheme="mine", summary="stolen", settings=MineSettings, open=print)

    kinds = Plugins([mine, Thief()]).storage_types()
    assert "" == kinds["mine"].summary


def test_a_converter_is_made_anew_each_time():
    """What one recorder's plugins taught is unknown to another's."""
    assert Plugins().make_converter() is not Plugins().make_converter()
