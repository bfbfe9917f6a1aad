"""Whether a value is the one that will arrive: what was given beside what its JSON decodes to.

JSON forgets types, and decoding by annotation is generous (a ``str`` reads as a ``datetime``). So a value is accepted
at enqueue only if it comes back equal, or differs in ways that Python's typing forgives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

from msgspec import Struct

_SEQUENCES = (list, tuple)
_SETS = (set, frozenset)


class Difference(NamedTuple):
    """The innermost part that would not arrive as it was given."""

    given: Any
    arrives: Any


def difference(given: Any, arrives: Any) -> Difference | None:
    """The first part of `given` that differs from its counterpart in `arrives`; None if all will arrive.

    Forgiven: tuples and lists for one another, likewise sets and frozen sets; values that are not equal to themselves
    (a Decimal NaN); objects of one class that define no equality.
    """
    if given is arrives or _equal(given, arrives):
        return None
    pairs = _pairs(given, arrives)
    if pairs is None:
        return Difference(given, arrives)
    return next((found for one, other in pairs if (found := difference(one, other)) is not None), None)


def _equal(given: Any, arrives: Any) -> bool:
    try:
        return bool(given == arrives)
    except Exception:  # noqa: BLE001 - a foreign __eq__ may raise anything; then the parts are compared
        return False


def _pairs(given: Any, arrives: Any) -> Iterable[tuple[Any, Any]] | None:
    """The parts of both to compare one by one, or None where they are different things."""
    if isinstance(given, _SEQUENCES) and isinstance(arrives, _SEQUENCES):
        return _zip(cast("Any", given), cast("Any", arrives))
    if isinstance(given, Mapping) and isinstance(arrives, Mapping):
        return _entries(cast("Mapping[Any, Any]", given), cast("Mapping[Any, Any]", arrives))
    if isinstance(given, _SETS) and isinstance(arrives, _SETS):
        # Equal sets were found above, whichever of the two kinds they are. Elements without equality pair up by type.
        return _zip(_by_type(cast("Any", given)), _by_type(cast("Any", arrives)))
    return _fields(given, arrives) if type(given) is type(arrives) else None


def _fields(given: Any, arrives: Any) -> Iterable[tuple[Any, Any]] | None:
    """The fields of two objects of one class."""
    if isinstance(given, Struct):
        names: Iterable[str] = given.__struct_fields__
    elif dataclasses.is_dataclass(given):
        names = [field.name for field in dataclasses.fields(given)]
    elif type(given).__eq__ is object.__eq__ or given != given:  # noqa: PLR0124 - NaN is not equal to itself
        names = ()
    else:
        return None
    return [(getattr(given, name), getattr(arrives, name)) for name in names]


def _by_type(items: Iterable[Any]) -> list[Any]:
    return sorted(items, key=lambda item: type(item).__qualname__)


def _zip(given: Any, arrives: Any) -> Iterable[tuple[Any, Any]] | None:
    return zip(given, arrives, strict=True) if len(given) == len(arrives) else None


def _entries(given: Mapping[Any, Any], arrives: Mapping[Any, Any]) -> Iterable[tuple[Any, Any]] | None:
    if len(given) != len(arrives):
        return None
    changed = [key for key in given if key not in arrives]
    if changed:  # such as 1, which arrives as "1"
        return [(changed[0], next(key for key in arrives if key not in given))]
    return [(value, arrives[key]) for key, value in given.items()]
