"""Every hook is called as its documentation says."""

import threading
import time

import click
import pytest
from attrs import evolve

import telemetry_core
from telemetry_core import (
    CollectorType,
    Draft,
    InvalidEventError,
    PluginLoadError,
    Plugins,
    Problem,
    StorageType,
    hookimpl,
)
from telemetry_core.memory import MemorySettings, MemoryStorage


class Odd:
    """A type that JSON does not know."""

    def __init__(self, value):
        self.value = value


class Watcher:
    """Keeps every fact in the order it heard of them."""

    def __init__(self, delay=0.0):
        self.seen = []
        self.delay = delay

    @hookimpl
    def telemetry_event_recorded(self, event):
        """Keep the seq."""
        time.sleep(self.delay)
        self.seen.append(event.seq)

    @hookimpl
    def telemetry_run_started(self, run):
        """Keep the start."""
        self.seen.append(("started", run.run_id))

    @hookimpl
    def telemetry_run_stopped(self, run):
        """Keep the end."""
        self.seen.append(("stopped", run.run_id, run.status))


def test_hook_telemetry_register_storage():
    """A registered scheme can be opened."""

    class Plugin:
        @hookimpl
        def telemetry_register_storage(self):
            return StorageType(
                scheme="mine", summary="mine", settings=MemorySettings, open=MemoryStorage
            )

    with telemetry_core.open("mine:", plugins=[Plugin()]) as recorder:
        assert isinstance(recorder.storage, MemoryStorage)


def test_hook_telemetry_configure_converter():
    """A type the plugin teaches can be recorded, at any depth."""

    class Plugin:
        @hookimpl
        def telemetry_configure_converter(self, converter):
            converter.register_unstructure_hook(Odd, lambda odd: {"odd": odd.value})

    with telemetry_core.open("memory:", plugins=[Plugin()]) as recorder:
        event = recorder.record("odd", {"a": [Odd(1)]})

    assert {"a": [{"odd": 1}]} == event.data


def test_hook_telemetry_register_commands():
    """The plugin adds to the group it is given."""

    class Plugin:
        @hookimpl
        def telemetry_register_commands(self, cli):
            cli.add_command(click.Command("mine"))

    group = click.Group()
    Plugins([Plugin()]).hook.telemetry_register_commands(cli=group)

    assert "mine" in group.commands


def test_hook_telemetry_register_collector():
    """The plugin's collector is found by its name."""
    mine = CollectorType(name="mine", summary="mine", open=lambda: lambda: [("a", 1)])

    class Plugin:
        @hookimpl
        def telemetry_register_collector(self):
            return mine

    assert [mine] == Plugins([Plugin()]).hook.telemetry_register_collector()


def test_hook_telemetry_prepare_event():
    """A plugin may enrich a draft, leave it, or refuse it."""

    class Plugin:
        @hookimpl
        def telemetry_prepare_event(self, draft):
            if draft.type == "secret":
                raise InvalidEventError([Problem("$.type", "not here")])
            return evolve(draft, meta={"site": "PAN001"}) if draft.type == "weather" else None

    with telemetry_core.open("memory:", plugins=[Plugin()]) as recorder:
        assert {"site": "PAN001"} == recorder.record("weather", 1).meta
        assert {} == recorder.record("power", 1).meta
        with pytest.raises(InvalidEventError, match="not here"):
            recorder.record("secret", 1)
        with pytest.raises(InvalidEventError, match=r"\$\[1\]\.type"):
            recorder.record_many([Draft("power", 1), Draft("secret", 1)])
        assert 2 == len(list(recorder.history()))


def test_hook_telemetry_event_recorded():
    """Every observer hears of every event in order, and not of a retry."""
    watchers = [Watcher(), Watcher()]
    with telemetry_core.open("memory:", plugins=watchers) as recorder:
        recorder.record_many([Draft("weather", number) for number in range(100)])
        recorder.record("weather", 1, id="x")
        recorder.record("weather", 1, id="x")
        recorder.record("weather", 1, store_permanently=False)

    for watcher in watchers:
        assert list(range(1, 103)) == watcher.seen


def test_hook_telemetry_run_started():
    """A start is told in one order with the events."""
    watcher = Watcher()
    with telemetry_core.open("memory:", plugins=[watcher]) as recorder:
        recorder.record("weather", 1)
        recorder.start_run("A")
        recorder.record("weather", 2)

    assert [1, ("started", "A"), 2] == watcher.seen


def test_hook_telemetry_run_stopped():
    """A stop is told with how the run ended."""
    watcher = Watcher()
    with telemetry_core.open("memory:", plugins=[watcher]) as recorder:
        with pytest.raises(ZeroDivisionError), recorder.run("A"):
            raise ZeroDivisionError
        recorder.record("weather", 1)

    assert [("started", "A"), ("stopped", "A", "failed"), 1] == watcher.seen


def test_an_observer_that_raises_costs_nobody_anything(caplog):
    """It is named in the log; the other one hears everything."""

    class Bad:
        @hookimpl
        def telemetry_event_recorded(self, event):
            raise ZeroDivisionError(event.seq)

    watcher = Watcher()
    plugins = Plugins([watcher])
    plugins.manager.register(Bad(), "bad-one")
    with telemetry_core.open("memory:", plugins=plugins) as recorder:
        recorder.record_many([Draft("weather", 1)] * 3)

    assert [1, 2, 3] == watcher.seen
    assert "bad-one" in caplog.text


def test_a_slow_observer_keeps_no_caller_waiting():
    """It misses events, which is counted; the writer goes on."""
    gate = threading.Event()

    class Stuck:
        @hookimpl
        def telemetry_event_recorded(self, event):  # noqa: ARG002
            gate.wait(30)

    with telemetry_core.open("memory:", plugins=[Stuck()]) as recorder:
        recorder.record_many([Draft("weather", 1)] * 10_500)
        missed = recorder.missed
        gate.set()

    assert 0 < missed < 600


def test_a_misspelt_hook_fails_loudly():
    """Nobody should wait for a hook that is never called."""

    class Plugin:
        @hookimpl
        def telemetry_event_recordet(self, event):
            """Never called."""

    with pytest.raises(Exception, match="telemetry_event_recordet"):
        Plugins([Plugin()])


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a plugin for the time of the test."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name, code):
        (tmp_path / f"plugin_of_{name}.py").write_text(code, "utf-8")
        info = tmp_path / f"{name}_plugin-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {name}-plugin\nVersion: 1.0\n", "utf-8")
        entry = f"[telemetry_core]\n{name} = plugin_of_{name}\n"
        (info / "entry_points.txt").write_text(entry, "utf-8")

    return make


SCHEME = """
from telemetry_core import StorageType, hookimpl
from telemetry_core.memory import MemorySettings, MemoryStorage
@hookimpl
def telemetry_register_storage():
    return StorageType(scheme="{}", summary="s", settings=MemorySettings, open=MemoryStorage)
"""


def test_open_loads_the_plugin_of_the_scheme_and_no_other(install):
    """One that fails to import costs another nothing."""
    install("good", SCHEME.format("good"))
    install("broken", "raise RuntimeError('broken at import')")

    telemetry_core.open("good:").close()
    with pytest.raises(PluginLoadError, match="broken at import"):
        telemetry_core.open("broken:")


def test_all_plugins_are_loaded_one_by_one(install, caplog):
    """What fails is reported with its reason, and the rest is there."""
    install("good", SCHEME.format("good"))
    install("broken", "import nothing_of_that_name")
    install("misspelt", "from telemetry_core import hookimpl\n@hookimpl\ndef telemetry_x(): pass")
    plugins = Plugins()
    plugins.load_installed()

    reasons = {report.name: report.reason for report in plugins.reports}
    assert reasons["good"] is None
    assert "nothing_of_that_name" in reasons["broken"]
    assert "telemetry_x" in reasons["misspelt"]
    assert "good" in plugins.storage_types()
    assert "broken" in caplog.text


def test_only_allowed_plugins_are_loaded(install, monkeypatch):
    """`TELEMETRY_LOAD_PLUGINS` names them; empty means none."""
    install("good", SCHEME.format("good"))
    monkeypatch.setenv("TELEMETRY_LOAD_PLUGINS", "host, migrate")

    with pytest.raises(telemetry_core.UnknownStorageError):
        telemetry_core.open("good:")


def test_an_unknown_scheme_names_the_installed_ones(install):
    """The message shows what could be meant."""
    install("good", SCHEME.format("good"))

    with pytest.raises(telemetry_core.UnknownStorageError) as caught:
        telemetry_core.open("nope://x")

    installed = "'good', 'http', 'https', 'memory', 'ndjson', 'postgresql'"
    assert f"no storage named 'nope'; installed: {installed}" == str(caught.value)
