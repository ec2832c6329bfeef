"""Storages that read back something else than was recorded."""

import unicodedata

from attrs import evolve

from tests.core.kit.fault import breaks
from tests.core.kit.journal import JournalStorage


class _ChangesDrafts(JournalStorage):
    """Keeps what `changed` makes of each draft."""

    def append(self, drafts, recorded_ns):
        return super().append([self.changed(draft) for draft in drafts], recorded_ns)


class _ChangesData(_ChangesDrafts):
    """Keeps what `kept` makes of the data of each draft."""

    def changed(self, draft):
        return evolve(draft, data=self.kept(draft.data))


@breaks("values.plain")
class TakesEmptyForNull(_ChangesData):
    """Keeps empty text, lists and objects as null."""

    def kept(self, value):
        return None if value in ("", [], {}) else value


@breaks("values.plain")
class KeepsBooleansAsNumbers(_ChangesData):
    """Keeps true as 1 and false as 0."""

    def kept(self, value):
        return int(value) if isinstance(value, bool) else value


@breaks("values.integers")
class KeepsIntegersAsFloats(_ChangesData):
    """Keeps large integers as JavaScript does."""

    def kept(self, value):
        return int(float(value)) % 2**64 if type(value) is int and value > 2**53 else value


@breaks("values.floats")
class KeepsFifteenDigits(_ChangesData):
    """Keeps fifteen digits of a float."""

    def kept(self, value):
        return float(f"{value:.15g}") if isinstance(value, float) else value


@breaks("values.text")
class NormalizesText(_ChangesData):
    """Keeps text in the normal form that its database prefers."""

    def kept(self, value):
        return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


@breaks("values.keys")
class ReplacesDotsInKeys(_ChangesData):
    """Keeps keys as a document database does that has a use for dots."""

    def kept(self, value):
        if not isinstance(value, dict):
            return value
        return {key.replace(".", "_"): item for key, item in value.items()}


@breaks("values.nesting")
class CutsDeepNesting(_ChangesData):
    """Keeps null in place of what is more than fifty levels deep."""

    def kept(self, value, depth=0):
        if depth > 50:
            return None
        if isinstance(value, list):
            return [self.kept(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {key: self.kept(item, depth + 1) for key, item in value.items()}
        return value


@breaks("values.large")
class CutsLongText(_ChangesData):
    """Keeps as much text as fits into a column of 64 KiB."""

    def kept(self, value):
        return value[: 64 * 1024] if isinstance(value, str) else value


@breaks("values.types")
class CutsLongTypes(_ChangesDrafts):
    """Keeps a hundred characters of a type."""

    def changed(self, draft):
        return evolve(draft, type=draft.type[:100])


@breaks("values.ids")
class FoldsTheCaseOfIds(_ChangesDrafts):
    """Compares ids without regard to case."""

    def changed(self, draft):
        return evolve(draft, id=draft.id and draft.id.lower())


@breaks("values.meta")
class KeepsFlatMeta(_ChangesDrafts):
    """Keeps of meta what is no object or list."""

    def changed(self, draft):
        flat = {name: one for name, one in draft.meta.items() if not isinstance(one, dict | list)}
        return evolve(draft, meta=flat)
