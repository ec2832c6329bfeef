"""
What becomes JSON although JSON does not know it: the standard library, numpy, astropy and pint.

The classes of the last three are known by name, so that nothing heavy is imported for them.

    Quantity (astropy, pint)    {"value": 45.0, "unit": "deg"}
    Time (astropy)              RFC 3339 text in UTC, with up to nine decimals
    numpy scalar, array         number, text, true or false; lists of them; masked is null
    numpy structured array      an object for each record
    datetime64                  ISO 8601 text without a zone, as numpy has none; NaT is null
    timedelta, timedelta64      seconds; so is an astropy TimeDelta
    Decimal, Fraction           number: what a double cannot hold of it is lost, as always in JSON
    Path, IP address            text
    set, frozenset              list, sorted, so that a retry gives the same text
    namedtuple                  object by field name, as attrs classes and dataclasses
    deque, range, array, view   list; any other mapping than dict becomes an object

Refused, because no reader could tell what they were: complex numbers, bytes, and iterators, which
can be looked at only once. Datetimes, dates, times, enums, UUIDs and dataclasses are written by
orjson itself: a datetime without a zone stays without one.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable, Iterator, Mapping, MappingView, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NoReturn

import attrs

from telemetry_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from cattrs import Converter

Hook = Callable[[Any], Any]

_LONGEST_DOUBLE = 8


@hookimpl
def telemetry_configure_converter(converter: Converter) -> None:
    """Teach *converter* all of the above."""
    converter.register_unstructure_hook_factory(
        lambda kind: _hook_of(kind) is not None, _careful_hook_of
    )
    # cattrs has a hook of its own for this class, which comes before any factory.
    converter.register_unstructure_hook(bytes, _refuse_bytes)


def _careful_hook_of(kind: type) -> Hook:
    hook = _hook_of(kind) or _unchanged
    # The field of an attrs class may be annotated with one class and hold something else.
    return lambda value: hook(value) if isinstance(value, kind) else value


def _hook_of(kind: Any) -> Hook | None:
    """Return how to make JSON of a *kind* of value; `None` where orjson or cattrs know it."""
    if not isinstance(kind, type) or issubclass(kind, _KNOWN_TO_ORJSON):
        return None
    if attrs.has(kind) or dataclasses.is_dataclass(kind) or kind in (float, datetime, date, time):
        return None
    for ancestor in kind.__mro__:
        hook = _BY_CLASS.get(ancestor) or _BY_NAME.get(
            f"{ancestor.__module__}.{ancestor.__qualname__}"
        )
        if hook is not None:
            return hook
    return next((hook for abc, hook in _BY_BEHAVIOUR if issubclass(kind, abc)), None)


def _unchanged(value: Any) -> Any:
    return value


def _refuse_bytes(value: Any) -> NoReturn:
    raise TypeError(f"{type(value).__name__} is no JSON: decode it to text, or encode it as base64")


def _refuse_complex(_: Any) -> NoReturn:
    raise TypeError("a complex number is no JSON: give its real and imaginary part")


def _refuse_iterator(_: Any) -> NoReturn:
    raise TypeError("an iterator can be read only once: give a list of what it yields")


def _number(value: Decimal | Fraction) -> float:
    try:
        number = float(value)
    except (OverflowError, ValueError) as error:
        raise TypeError(f"{value!r:.80} is beyond what 64 bits hold: give it as text") from error
    if math.isinf(number) and not (isinstance(value, Decimal) and value.is_infinite()):
        raise TypeError(f"{value!r:.80} is beyond what 64 bits hold: give it as text")
    return number


def _isoformat(value: date | time) -> str:
    return value.isoformat()


def _sorted(value: AbstractSet[Any]) -> list[Any]:
    try:
        if not any(
            isinstance(item, AbstractSet) for item in value
        ):  # sets are ordered only in part
            return sorted(value)
    except TypeError:
        pass
    return sorted(value, key=lambda item: (type(item).__qualname__, repr(item)))


def _named_or_list(value: tuple[Any, ...]) -> dict[str, Any] | list[Any]:
    names = getattr(value, "_fields", None)
    return list(value) if names is None else dict(zip(names, value, strict=True))


def _from_numpy(value: Any) -> Any:
    dtype = value.dtype
    if dtype.names is not None:
        if value.shape:
            return list(value)
        record = value[()]
        return {name: record[name] for name in dtype.names}
    if dtype.kind == "c":
        _refuse_complex(value)
    if dtype.kind in "SV":
        _refuse_bytes(value)
    if dtype.kind == "M":
        return _without_nat(value.astype(str).tolist())
    if dtype.kind == "m":
        value = value / dtype.type(1, "s")
    elif dtype.kind == "f" and dtype.itemsize > _LONGEST_DOUBLE:
        value = value.astype("float64")
    return value.tolist()


def _without_nat(texts: Any) -> Any:
    if isinstance(texts, list):
        return [_without_nat(text) for text in texts]
    return None if texts == "NaT" else texts


def _from_masked_astropy(value: Any) -> Any:
    values = value.unmasked.astype(object)
    values[value.mask] = None
    return values.tolist()


def _from_astropy_quantity(value: Any) -> dict[str, Any]:
    return {"value": value.value, "unit": value.unit.to_string()}


def _from_astropy_time(value: Any) -> Any:
    if value.shape:
        return [_from_astropy_time(moment) for moment in value]
    if value.mask:
        return None
    utc = value.utc.copy(format="isot")
    utc.precision = 9
    whole, _, digits = str(utc.value).partition(".")
    return f"{whole}.{digits.rstrip('0').ljust(3, '0')}Z"


def _from_astropy_time_delta(value: Any) -> Any:
    return value.to_value("s")


def _from_pint_quantity(value: Any) -> dict[str, Any]:
    return {"value": value.magnitude, "unit": str(value.units)}


_KNOWN_TO_ORJSON = (str, int, list, dict, enum.Enum)

_BY_CLASS: dict[type, Hook] = {
    float: float,
    tuple: _named_or_list,
    complex: _refuse_complex,
    bytes: _refuse_bytes,
    bytearray: _refuse_bytes,
    memoryview: _refuse_bytes,
    Decimal: _number,
    Fraction: _number,
    timedelta: timedelta.total_seconds,
    date: _isoformat,
    time: _isoformat,
    PurePath: str,
    IPv4Address: str,
    IPv6Address: str,
}

_BY_NAME: dict[str, Hook] = {
    "numpy.generic": _from_numpy,
    "numpy.ndarray": _from_numpy,
    "astropy.units.quantity.Quantity": _from_astropy_quantity,
    "astropy.units.core.UnitBase": str,
    "astropy.time.core.Time": _from_astropy_time,
    "astropy.time.core.TimeDelta": _from_astropy_time_delta,
    "astropy.utils.masked.core.Masked": _from_masked_astropy,
    "pint.facets.plain.quantity.PlainQuantity": _from_pint_quantity,
    "pint.facets.plain.unit.PlainUnit": str,
}

_BY_BEHAVIOUR: tuple[tuple[type, Hook], ...] = (
    (MappingView, list),
    (Mapping, dict),
    (AbstractSet, _sorted),
    (Iterator, _refuse_iterator),
    (Sequence, list),
)
