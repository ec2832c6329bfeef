"""Finding plugins, loading them one by one, and opening a storage by URL."""

from __future__ import annotations

import importlib
import logging
import os
import re
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pluggy
from attrs import field, frozen
from attrs import fields as attrs_fields

from telemetry_core import hookspecs
from telemetry_core.errors import (
    PluginLoadError,
    Problem,
    SettingsError,
    UnknownStorageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    import cattrs

    from telemetry_core.storage import Storage, StorageType

log = logging.getLogger(__name__)

GROUP = hookspecs.PROJECT
ALLOW_VARIABLE = "TELEMETRY_LOAD_PLUGINS"
DEFAULT_PLUGINS = {
    "converters": "telemetry_core.converters",
    "memory": "telemetry_core.memory",
    "ndjson": "telemetry_core.ndjson",
}
"""Our own plugins, by entry-point name; registered by code so that they work without metadata."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


@frozen
class LoadedPlugin:
    """What became of one plugin: `reason` says why it is not active, `None` that it is."""

    name: str
    module: str
    distribution: str
    version: str
    reason: str | None = None
    hooks: tuple[str, ...] = field(default=())


def is_allowed(name: str) -> bool:
    """Whether `TELEMETRY_LOAD_PLUGINS` (unset: everything; else names and commas) allows *name*."""
    allowed = os.environ.get(ALLOW_VARIABLE)
    return allowed is None or name in {part.strip() for part in allowed.split(",")}


class Plugins:
    """
    The plugins of one recorder, application or command line, and the hooks they implement.

    Our own are always there. A plugin that cannot be loaded is one warning and a line in
    `reports`; it costs the others nothing.
    """

    def __init__(self, plugins: Iterable[object] = ()) -> None:
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.reports: list[LoadedPlugin] = []
        for name, module in DEFAULT_PLUGINS.items():
            self.manager.register(importlib.import_module(module), name)
        for plugin in plugins:
            self.manager.register(plugin)
        self.manager.check_pending()

    @property
    def hook(self) -> pluggy.HookRelay:
        """The hooks, to be called."""
        return self.manager.hook

    def load_installed(self) -> None:
        """Load every installed and allowed plugin that was not looked at yet."""
        seen = {report.name for report in self.reports}
        for entry_point in installed_plugins():
            if entry_point.name in seen or self.manager.has_plugin(entry_point.name):
                continue
            if not is_allowed(entry_point.name):
                self._report(entry_point, f"not among {ALLOW_VARIABLE}")
                continue
            try:
                self.load(entry_point)
            except PluginLoadError as error:
                log.warning("%s", error)

    def load(self, entry_point: EntryPoint) -> None:
        """
        Load one plugin, unless it is loaded, and check that its hooks exist and can be asked.

        Raises:
            PluginLoadError: It cannot be imported, misspells a hook, or fails to register.
        """
        if self.manager.has_plugin(entry_point.name):
            return
        try:
            plugin = entry_point.load()
            self.manager.register(plugin, entry_point.name)
            self.manager.check_pending()
            self.storage_types()  # now, so that one without its driver fails here and alone
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may fail in any way, and may not end the process
            if self.manager.has_plugin(entry_point.name):
                self.manager.unregister(name=entry_point.name)
            reason = f"{type(error).__name__}: {error}"
            self._report(entry_point, reason)
            raise PluginLoadError(entry_point.name, reason) from error
        self._report(entry_point, None)

    def make_converter(self) -> cattrs.Converter:
        """Return a strict converter that every plugin has taught its types."""
        from telemetry_core.codec import make_converter

        teach = self.manager.hook.telemetry_configure_converter
        return make_converter([lambda converter: teach(converter=converter)])

    def storage_types(self) -> dict[str, StorageType]:
        """Return the kinds of storage that are loaded, by scheme."""
        return {kind.scheme: kind for kind in self.hook.telemetry_register_storage()}

    def storage_type(self, scheme: str) -> StorageType:
        """
        Return the kind of storage for *scheme*, loading its plugin and no other.

        Raises:
            UnknownStorageError: Nothing installed and allowed opens it.
            PluginLoadError: Its plugin cannot be loaded.
        """
        kinds = self.storage_types()
        if scheme not in kinds:
            for entry_point in installed_plugins():
                if entry_point.name == scheme and is_allowed(scheme):
                    self.load(entry_point)
            kinds = self.storage_types()
        if scheme not in kinds:
            # Nobody registered it under its own name: ask the others, or at least name them.
            self.load_installed()
            kinds = self.storage_types()
        if scheme not in kinds:
            raise UnknownStorageError(scheme, sorted(kinds))
        return kinds[scheme]

    def open_storage(self, url: str | os.PathLike[str], options: Mapping[str, Any]) -> Storage:
        """
        Open the storage at *url* (a plain path means NDJSON files) with *options*.

        Raises:
            UnknownStorageError: No plugin opens such URLs.
            SettingsError: An option is unknown or has a wrong value.
            StorageError: It cannot be opened.
        """
        scheme, rest, given = split_url(os.fspath(url))
        kind = self.storage_type(scheme)
        settings = _settings(kind, rest, {**given, **options}, given.keys() - options.keys())
        return kind.open(settings)

    def _report(self, entry_point: EntryPoint, reason: str | None) -> None:
        distribution = entry_point.dist
        plugin = self.manager.get_plugin(entry_point.name)
        callers = self.manager.get_hookcallers(plugin) if plugin is not None else None
        self.reports.append(
            LoadedPlugin(
                entry_point.name,
                entry_point.value,
                distribution.name if distribution else "",
                distribution.version if distribution else "",
                reason,
                tuple(sorted(caller.name for caller in callers or ())),
            )
        )


def installed_plugins() -> list[EntryPoint]:
    """Return the entry points of all installed plugins, by name, each name once."""
    found = {entry_point.name: entry_point for entry_point in entry_points(group=GROUP)}
    return [found[name] for name in sorted(found)]


def split_url(url: str) -> tuple[str, str, dict[str, str]]:
    """Return the scheme of *url*, the URL without its query, and the query as options."""
    match = _SCHEME.match(url)
    if match is None:
        return "ndjson", url, {}
    head, _, query = url.partition("?")
    return match[1].lower(), head, dict(parse_qsl(query, keep_blank_values=True))


def url_path(url: str) -> str:
    """Return the path in *url*: `ndjson:///data/site` and `/data/site` name the same place."""
    match = _SCHEME.match(url)
    return url if match is None else url[match.end() :].removeprefix("//")


def _settings(
    kind: StorageType, url: str, options: Mapping[str, Any], from_text: AbstractSet[str]
) -> Any:
    """Return the settings of *kind*; options that came as text are read as what is wanted."""
    from telemetry_core.codec import make_converter, problems_of

    converter = make_converter()
    known = {attribute.name: attribute for attribute in attrs_fields(kind.settings)}
    values: dict[str, Any] = {"url": url}
    for name, value in options.items():
        wanted = known[name].type if name in known else str
        values[name] = _read_option(value, str(wanted)) if name in from_text else value
    if "read_only" not in known and values.get("read_only") is False:
        del values["read_only"]
    try:
        return converter.structure(values, kind.settings)
    except Exception as error:  # noqa: BLE001  # cattrs raises groups of whatever went wrong
        problems = problems_of(error)
        raise SettingsError(
            [Problem(f"{kind.scheme}{one.path[1:]}", one.message) for one in problems]
        ) from None


def _read_option(text: str, wanted: str) -> Any:
    """Return the *text* of a URL's option as the type *wanted*, where it can be read as one."""
    if "bool" in wanted and text in ("true", "false"):
        return text == "true"
    if "int" in wanted or "float" in wanted:
        for number in (int, float):
            try:
                return number(text)
            except ValueError:
                continue
    return text
