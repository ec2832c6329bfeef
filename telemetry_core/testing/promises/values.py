"""What is read equals what was recorded, as a JSON value."""

from __future__ import annotations

from typing import Any

from telemetry_core.testing.promise import OpenStorage, PromiseTests, promise
from telemetry_core.testing.samples import append, current_data, data_of, make_draft, stored

_KIB = 1024


def _assert_round_trip(open_storage: OpenStorage, values: list[Any]) -> None:
    """Append each of *values* in one batch and alone, and read them back."""
    with open_storage() as storage:
        append(storage, *(make_draft(data=value) for value in values))
        for value in values:
            append(storage, make_draft(data=value))
        kept = data_of(storage)
        assert len(kept) == 2 * len(values)
        for value, found in zip([*values, *values], kept, strict=True):
            assert found == value
            # To Python 1 equals True; to JSON it does not.
            assert isinstance(found, bool) == isinstance(value, bool), f"{value!r} became {found!r}"


class ValueTests(PromiseTests):
    """The promises `values.…`."""

    @promise("values.plain")
    def test_plain_values_round_trip(self, open_storage: OpenStorage) -> None:
        """`data` may be null, true, false, a number or text, and empty text, lists and objects."""
        values: list[Any] = [
            None,
            True,
            False,
            0,
            1,
            "",
            "text",
            [],
            {},
            [[]],
            [{}],
            {"a": None},
            [True, 1],
        ]
        _assert_round_trip(open_storage, values)

    @promise("values.integers")
    def test_integers_round_trip(self, open_storage: OpenStorage) -> None:
        """Integers from -2^63 to 2^64-1 are read back exactly."""
        edges = [0, 2**31, 2**32, 2**53, 2**63, 2**64]
        near = [edge + step for edge in edges for step in (-1, 0, 1)]
        wanted = [number for number in near if number < 2**64]
        _assert_round_trip(
            open_storage, [*wanted, *(-number for number in wanted if number <= 2**63)]
        )

    @promise("values.floats")
    def test_floats_round_trip(self, open_storage: OpenStorage) -> None:
        """Floats are read back exactly, from the smallest to the largest."""
        values = [0.1, -1.5, 1 / 3, 1e-7, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308]
        _assert_round_trip(open_storage, [*values, [0.30000000000000004], {"deg": -273.15}])

    @promise("values.text")
    def test_text_round_trips(self, open_storage: OpenStorage) -> None:
        """Text is read back exactly: quotes, control characters, separators, any script."""
        values = [
            '"', "\\", "'", "\\n", "a\nb", "a\r\nb", "\t", "\x01\x1f\x7f", "\u0085", "\u2028\u2029",
            "\ufeff", "\ufffe\uffff", "é", "e\u0301", "Ω 測定 мера مقياس", "🔭", "\U0010ffff",
            "%s %(x)s {} ? $1 :a", "'; DROP TABLE events; --", "NaN", "null", " before and after ",
        ]  # fmt: skip
        _assert_round_trip(open_storage, [*values, values, {"text": "".join(values)}])

    @promise("values.keys")
    def test_keys_round_trip(self, open_storage: OpenStorage) -> None:
        """Any text may be a key of an object, also an empty one and the names of our own fields."""
        names = [
            "",
            " ",
            "a.b",
            "a/b",
            "$ref",
            "_id",
            "é",
            "🔭",
            '"',
            "\n",
            "1",
            "seq",
            "ts",
            "data",
        ]
        names += ["meta", "run_id", "id", "current", "__proto__"]
        _assert_round_trip(open_storage, [{name: number for number, name in enumerate(names)}])

    @promise("values.nesting")
    def test_deep_nesting_round_trips(self, open_storage: OpenStorage) -> None:
        """`data` may nest a hundred levels deep."""
        lists: Any = 1
        objects: Any = 1
        for _ in range(100):
            lists, objects = [lists], {"a": objects}
        _assert_round_trip(open_storage, [lists, objects])

    @promise("values.large")
    def test_large_values_round_trip(self, open_storage: OpenStorage) -> None:
        """`data` may be as large as `max_event_bytes` says."""
        with open_storage() as storage:
            room = min(storage.capabilities.max_event_bytes, 256 * _KIB)
        numbers = list(range(room // 8))
        _assert_round_trip(open_storage, ["x" * (room - 2), "é" * (room // 2 - 1), numbers])

    @promise("values.types")
    def test_types_round_trip(self, open_storage: OpenStorage) -> None:
        """A type is any 1 to 128 printable characters, in `read`, `current` and a selection."""
        names = [
            "a",
            "a/b",
            "../../a",
            "a.b",
            "A",
            "é",
            "測定/温度",
            "🔭",
            "a b",
            "%",
            "'",
            '"',
            "\\",
        ]
        names += ["x" * 128, "é" * 128, "null", "*", "?", "site"]
        with open_storage() as storage:
            for number, name in enumerate(names):
                append(storage, make_draft(name, number))
            assert [event.type for event in storage.read()] == names
            assert current_data(storage) == {name: number for number, name in enumerate(names)}
            for number, name in enumerate(names):
                assert data_of(storage, types=name) == [number]

    @promise("values.ids")
    def test_ids_round_trip(self, open_storage: OpenStorage) -> None:
        """An id is any 1 to 128 printable characters; ids that differ are different."""
        names = ["a", "A", "a ", " a", "a/b", "é", "e\u0301", "🔭", "'", '"', "\\", "%", "x" * 128]
        with open_storage() as storage:
            append(storage, *(make_draft(data=name, id=name) for name in names))
            assert [event.id for event in storage.read()] == names
            again = append(storage, *(make_draft(data=name, id=name) for name in names))
            assert [event.data for event in again if event.is_duplicate] == names

    @promise("values.meta")
    def test_meta_round_trips(self, open_storage: OpenStorage) -> None:
        """`meta` is any JSON object, and is read back as it was given."""
        metas: list[Any] = [
            {},
            {"a": 1},
            {"nested": {"list": [1, None, {"x": "é\u2028"}]}, "": 2**64 - 1},
        ]
        with open_storage() as storage:
            for meta in metas:
                append(storage, make_draft(meta=meta))
            append(storage, *(make_draft(meta=meta) for meta in metas))
            assert [event.meta for event in stored(storage)] == [*metas, *metas]
