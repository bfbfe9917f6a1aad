"""Whether a value is the one that will arrive: what was given beside what its JSON decodes to.

JSON forgets types, and decoding by annotation is generous (a ``str`` reads as a ``datetime``). So a value is accepted
at enqueue only if it comes back equal, or differs in ways that Python's typing forgives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

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
        if isinstance(given, datetime) and isinstance(arrives, datetime) and given.tzinfo and arrives.tzinfo:
            # An hour that a change of clocks repeats or skips equals no other zone's (PEP 495); the moment is the same.
            return given.astimezone(UTC) == arrives.astimezone(UTC)
        return bool(given == arrives)
    except Exception:  # noqa: BLE001 - a foreign __eq__ may raise anything; then the parts are compared
        return False


def _pairs(given: Any, arrives: Any) -> Iterable[tuple[Any, Any]] | None:
    """The parts of both to compare one by one, or None where they are different things."""
    same_class = type(given) is type(arrives)
    for kinds, pair in ((_SEQUENCES, _zip), (Mapping, _entries), (_SETS, _members)):
        if isinstance(given, kinds) and isinstance(arrives, kinds):
            return pair(given, arrives)
    return _fields(given, arrives) if same_class else None


def _fields(given: Any, arrives: Any) -> Iterable[tuple[Any, Any]] | None:
    """The fields of two objects of one class."""
    if isinstance(given, Struct):
        names: Iterable[str] = given.__struct_fields__
    elif hasattr(given, "__dataclass_fields__"):
        import dataclasses  # imported by whoever made this one

        names = [field.name for field in dataclasses.fields(given)]
    elif type(given).__eq__ is object.__eq__ or given != given:  # noqa: PLR0124 - NaN is not equal to itself
        names = ()
    else:
        return None
    return [(getattr(given, name), getattr(arrives, name)) for name in names]


def _zip(given: Any, arrives: Any) -> Iterable[tuple[Any, Any]] | None:
    return zip(given, arrives, strict=True) if len(given) == len(arrives) else None


def _members(given: Any, arrives: Any) -> Iterable[tuple[Any, Any]] | None:
    """Equal sets were found before, so their members are unequal or know no equality: they pair up by their types."""
    return _zip(*(sorted(members, key=lambda item: type(item).__qualname__) for members in (given, arrives)))


def _entries(given: Any, arrives: Any) -> Iterable[tuple[Any, Any]] | None:
    if len(given) != len(arrives):
        return None
    changed = [key for key in given if key not in arrives]
    if changed:  # such as 1, which arrives as "1"
        return [(changed[0], next(key for key in arrives if key not in given))]
    return [(value, arrives[key]) for key, value in given.items()]
