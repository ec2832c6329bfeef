"""`copy`: from any source or storage to any storage, by the names a user gives them."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from attrs import evolve

from telemetry_core.plugins import Plugins, split_url
from telemetry_core.recorder import Recorder
from telemetry_core.storage import Storage
from telemetry_migrate.copying import CopyReport, copy_site
from telemetry_migrate.errors import SourceSettingsError
from telemetry_migrate.places import open_source
from telemetry_migrate.progress import ShowProgress
from telemetry_migrate.recording import record_all
from telemetry_migrate.rejects import RejectsWriter
from telemetry_migrate.sources import source_types

_SERVERS: Final = ("http", "https")


def copy(
    source: str | os.PathLike[str] | Storage,
    target: str | os.PathLike[str] | Storage,
    *,
    verify: bool = False,
    rejects: str | os.PathLike[str] | None = None,
    progress: ShowProgress | None = None,
    plugins: Plugins | None = None,
) -> CopyReport:
    """
    Copy everything from *source* to the storage *target*, and return what was done.

    A storage (a path, a URL, or an opened one) is copied as the site it is, seqs and runs and
    current values, and goes on where an earlier copy ended; see `copy_site`. Any other source is
    named as `NAME:PLACE?OPTION=VALUE`, such as `csv:weather.csv?time=date`, and its events are
    recorded under new numbers, each once; see `record_all`. What cannot be recorded is written to
    *rejects*.

    Raises:
        SourceNotFoundError: There is nothing at that place.
        SourceSettingsError: The source needs other options, or what would be rejected has no file.
        UnsupportedError: The target gives its own numbers only, and the source is a storage.
        DivergedError: The target holds what the source does not.
        PluginError: A storage cannot be opened by that name.
        StorageError: A storage cannot be read or written.
    """
    plugins = plugins or Plugins()
    with ExitStack() as opened:
        if not isinstance(source, Storage):
            name, place, options = split_url(os.fspath(source))
            kind = source_types(plugins).get(name)
            if kind is not None:
                items = kind.read(place.partition(":")[2], options)
                storage = _opened(target, opened, plugins)
                writer = opened.enter_context(RejectsWriter(Path(rejects) if rejects else None))
                # Without plugins: what is old needs no enriching, and nobody waits to hear of it.
                recorder = Recorder(storage)
                if storage is not target:
                    opened.callback(recorder.close)
                report = record_all(items, recorder, writer.write, progress=progress)
                writer.finish()
                return evolve(report, source=str(source), target=_name(target))
            if name in _SERVERS:
                raise SourceSettingsError(name, "a server gives no history yet; name its storage")
            source_storage = opened.enter_context(open_source(str(source), {}, plugins))
        else:
            source_storage = source
        report = copy_site(
            source_storage, _opened(target, opened, plugins), verify=verify, progress=progress
        )
        return evolve(report, source=_name(source), target=_name(target))


def _opened(
    target: str | os.PathLike[str] | Storage, opened: ExitStack, plugins: Plugins
) -> Storage:
    if isinstance(target, Storage):
        return target
    return opened.enter_context(plugins.open_storage(target, {}))


def _name(place: str | os.PathLike[str] | Storage) -> str:
    return type(place).__name__ if isinstance(place, Storage) else os.fspath(place)
