"""`copy`: from any source or storage to any storage, by the names a user gives them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from attrs import evolve

from telemetry_core.errors import UnsupportedError
from telemetry_core.events import Draft
from telemetry_core.plugins import Plugins, split_url
from telemetry_core.recorder import Recorder
from telemetry_core.storage import Storage
from telemetry_migrate.copying import CopyReport, copy_site
from telemetry_migrate.errors import SourceSettingsError
from telemetry_migrate.places import open_source
from telemetry_migrate.progress import ShowProgress
from telemetry_migrate.recording import record_all
from telemetry_migrate.rejects import Reject, RejectsWriter
from telemetry_migrate.sources import source_types
from telemetry_migrate.sources.site import drafts_of

StorageName = str | os.PathLike[str] | Storage
"""A path, a URL, or an opened storage."""


def copy(
    source: StorageName,
    target: StorageName,
    *,
    verify: bool = False,
    rejects: str | os.PathLike[str] | None = None,
    progress: ShowProgress | None = None,
    plugins: Plugins | None = None,
) -> CopyReport:
    """
    Copy everything from *source* to the storage *target*, and return what was done.

    A storage (a path, a URL, or an opened one) is copied as the site it is, seqs and runs and
    current values, and goes on where an earlier copy ended; see `copy_site`. The URL of a running
    service is one, too. Any other source is named as `NAME:PLACE?OPTION=VALUE`, such as
    `csv:weather.csv?time=date`, and its events are recorded under new numbers, each once; see
    `record_all`. So are those of a storage when *target* gives its own numbers only: the report has
    `is_recorded_anew` then. What cannot be recorded is written to *rejects*.

    Raises:
        SourceNotFoundError: There is nothing at that place.
        SourceSettingsError: The source needs other options, or *verify* was asked for where events
            get new numbers; nothing was written.
        DivergedError: The target holds what the source does not.
        PluginError: A storage cannot be opened by that name.
        StorageError: A storage cannot be read or written.
    """
    plugins = plugins or Plugins()
    with ExitStack() as opened:
        items = None if isinstance(source, Storage) else _items_of(os.fspath(source), plugins)
        if items is None:
            site = _opened_source(source, opened, plugins)
            storage = _opened(target, opened, plugins)
            if _takes_numbers(storage):
                report = copy_site(site, storage, verify=verify, progress=progress)
                return evolve(report, source=_name(source), target=_name(target))
            _check_not_verified(source, verify=verify)
            items = drafts_of(site, _name(source))
        else:
            _check_not_verified(source, verify=verify)
            storage = _opened(target, opened, plugins)
        writer = opened.enter_context(RejectsWriter(Path(rejects) if rejects else None))
        # Without plugins: what is old needs no enriching, and nobody waits to hear of it.
        recorder = Recorder(storage)
        if storage is not target:
            opened.callback(recorder.close)
        report = record_all(items, recorder, writer.write, progress=progress)
        writer.finish()
        return evolve(report, source=_name(source), target=_name(target))


def _items_of(source: str, plugins: Plugins) -> Iterable[Draft | Reject] | None:
    """Return what the kind of source that *source* names yields, `None` if it names a storage."""
    name, place, options = split_url(source)
    kind = source_types(plugins).get(name)
    return None if kind is None else kind.read(place.partition(":")[2], options)


def _check_not_verified(source: StorageName, *, verify: bool) -> None:
    """Raise if *verify* was asked for; only a storage with the same numbers can be compared."""
    if verify:
        reason = "its events get new numbers there, so that --verify cannot compare them"
        raise SourceSettingsError(_name(source), reason)


def _takes_numbers(storage: Storage) -> bool:
    """Whether the *storage* can keep events under the seqs that another one gave them."""
    try:
        storage.replicate(())
    except UnsupportedError:
        return False
    return True


def _opened_source(source: StorageName, opened: ExitStack, plugins: Plugins) -> Storage:
    if isinstance(source, Storage):
        return source
    return opened.enter_context(open_source(os.fspath(source), {}, plugins))


def _opened(target: StorageName, opened: ExitStack, plugins: Plugins) -> Storage:
    if isinstance(target, Storage):
        return target
    return opened.enter_context(plugins.open_storage(target, {}))


def _name(place: StorageName) -> str:
    return type(place).__name__ if isinstance(place, Storage) else os.fspath(place)
