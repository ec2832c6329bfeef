"""Sources: where events can be brought in from. Each kind is a plugin, ours like any other."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from attrs import frozen

from telemetry_core.cli.registered import call_each
from telemetry_core.events import Draft
from telemetry_core.plugins import Plugins
from telemetry_migrate import hookspecs
from telemetry_migrate.errors import SourceSettingsError, UnknownSourceError
from telemetry_migrate.rejects import Reject

OWN_SOURCES: Final = {
    "source-csv": "telemetry_migrate.sources.csvfile",
    "source-panfiledb": "telemetry_migrate.sources.panfiledb",
    "source-site": "telemetry_migrate.sources.site",
}

Options = Mapping[str, str]


@frozen(kw_only=True)
class SourceType:
    """
    A kind of source, as a plugin registers it.

    `read` is given the place behind `NAME:` and the options of the query behind it, and returns
    the drafts in the order to record them; a `Reject` among them is something that is no event.
    A draft with an `id` is recorded once, however often the source is read.
    """

    name: str
    summary: str
    read: Callable[[str, Options], Iterable[Draft | Reject]]


def source_types(plugins: Plugins) -> dict[str, SourceType]:
    """Return the kinds of source that are loaded, by name."""
    if not hasattr(plugins.hook, "telemetry_register_source") or not (
        plugins.hook.telemetry_register_source.has_spec()
    ):
        plugins.manager.add_hookspecs(hookspecs)
    for name, module in OWN_SOURCES.items():
        if not plugins.manager.has_plugin(name):
            plugins.manager.register(importlib.import_module(module), name)
    found: list[SourceType] = call_each(plugins, "telemetry_register_source")
    return {kind.name: kind for kind in sorted(found, key=lambda kind: kind.name)}


def source_type(plugins: Plugins, name: str) -> SourceType:
    """
    Return the kind of source called *name*.

    Raises:
        UnknownSourceError: No active plugin registers it.
    """
    known = source_types(plugins)
    if name not in known:
        raise UnknownSourceError(name, known)
    return known[name]


def check_options(source: str, options: Options, known: Iterable[str]) -> None:
    """
    Return if *options* has nothing that *source* does not know.

    Raises:
        SourceSettingsError: It has.
    """
    unknown = sorted(set(options) - {*known})
    if unknown:
        names = ", ".join(map(repr, unknown))
        raise SourceSettingsError(source, f"no option {names}; there are {', '.join(known)}")
