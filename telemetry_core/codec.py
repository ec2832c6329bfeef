"""The shape of things in JSON: strict reading, one-line writing, and the cattrs converters."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import cattrs
import orjson
from attrs import Attribute, has
from cattrs.gen import make_dict_structure_fn

from telemetry_core.errors import InvalidEventError, MalformedJSONError, Problem
from telemetry_core.events import Event

MAX_DEPTH = 100
"""How deep `data` and `meta` may nest: what jq (256) and Python (about 1000) surely read back."""

MIN_INTEGER = -(2**63)
MAX_INTEGER = 2**64 - 1


def read_json(text: bytes | str) -> Any:
    """
    Return the value of a JSON *text* that came from outside.

    Raises:
        MalformedJSONError: It is not JSON in UTF-8; NaN and Infinity are not.
        InvalidEventError: It is, but could not be stored and read back as it is: a key twice in
            one object, a number out of range, nesting without end.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except RecursionError:
        problem = Problem("$", f"nested deeper than {MAX_DEPTH} levels")
        raise InvalidEventError([problem]) from None
    except UnicodeDecodeError as error:
        raise MalformedJSONError(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        # Some of the messages end with the word that begins the place.
        reason = error.msg.removesuffix(" at")
        raise MalformedJSONError(f"{reason} at character {error.pos}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise InvalidEventError(
            [Problem("$", f"the key {twice!r:.100} stands twice in one object")]
        )
    return found


def _integer(digits: str) -> int:
    if len(digits) > len(str(MIN_INTEGER)) or not MIN_INTEGER <= int(digits) <= MAX_INTEGER:
        message = f"the integer {digits:.40} is outside of -2^63 to 2^64-1; give it as a string"
        raise InvalidEventError([Problem("$", message)])
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        message = f"the number {digits:.40} is beyond what 64 bits hold; give it as a string"
        raise InvalidEventError([Problem("$", message)])
    return number


def _constant(name: str) -> NoReturn:
    raise MalformedJSONError(f"{name} is not JSON; use null")


def event_json(event: Event) -> bytes:
    """Return *event* as the five-key envelope in JSON, compact, without a line break."""
    return b'{"seq":%d,"ts":"%b","type":%b,"data":%b,"meta":%b}' % (
        event.seq,
        event.ts.encode(),
        orjson.dumps(event.type),
        event.data_json,
        event.meta_json,
    )


def event_dict(event: Event) -> dict[str, Any]:
    """Return *event* as the five-key envelope, its values decoded afresh."""
    return orjson.loads(event_json(event))  # type: ignore[no-any-return]


def make_converter(
    configure: Iterable[Callable[[cattrs.Converter], object]] = (),
) -> cattrs.Converter:
    """
    Return a cattrs converter that structures strictly and unstructures what plugins taught it.

    Strict means that nothing is coerced: `"1"` is no int, `1` no str, `0` no bool, and a key that
    the class does not have is an error. Each of *configure* is given the converter once.
    """
    converter = cattrs.Converter(detailed_validation=True, forbid_extra_keys=True)
    converter.register_structure_hook(str, _strict(str, "a string"))
    converter.register_structure_hook(int, _strict(int, "an integer"))
    converter.register_structure_hook(bool, _strict(bool, "true or false"))
    converter.register_structure_hook(float, _structure_float)
    converter.register_structure_hook_func(_is_json_object, _structure_object)
    converter.register_structure_hook_factory(has, _structure_class)
    for teach in configure:
        teach(converter)
    return converter


def _strict(kind: type, name: str) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            message = f"must be {name}, not {value!r:.100}"
            raise ValueError(message)
        return value

    return structure


def _structure_float(value: Any, _: Any) -> float:
    if type(value) not in (int, float):
        message = f"must be a number, not {value!r:.100}"
        raise ValueError(message)
    return float(value)


def _structure_class(kind: type, converter: cattrs.BaseConverter) -> Callable[[Any, Any], Any]:
    structure_fields: Callable[[Any, Any], Any] = make_dict_structure_fn(
        kind, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True
    )

    def structure(value: Any, _: Any) -> Any:
        return structure_fields(_structure_object(value, kind), kind)

    return structure


def _is_json_object(kind: Any) -> bool:
    return kind in (dict[str, Any], Mapping[str, Any])


def _structure_object(value: Any, _: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        message = f"must be an object, not {value!r:.100}"
        raise ValueError(message)
    return value


def problems_of(error: Exception) -> tuple[Problem, ...]:
    """Return what is wrong, and where, according to an *error* of cattrs' structuring."""
    lines = cattrs.transform_error(error, path="$", format_exception=_describe)
    return tuple(
        Problem(path, message) for message, _, path in (line.rpartition(" @ ") for line in lines)
    )


def _describe(error: BaseException, _: type | None) -> str:
    if isinstance(error, KeyError):
        return f"the field {error.args[0]!r} is missing"
    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        known = ", ".join(attribute.name for attribute in getattr(error.cl, "__attrs_attrs__", ()))
        extra = ", ".join(repr(name) for name in sorted(error.extra_fields))
        return f"no field named {extra}; there are {known}"
    if any(isinstance(fact, Attribute) for fact in error.args):
        return str(error.args[0])  # a validator of attrs: its other facts are for programs
    return str(error)
