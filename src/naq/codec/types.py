"""What a type annotation is made of, as far as the codec has to know."""

from __future__ import annotations

import inspect
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from naq.codec.values import is_known

# Annotations that need no closer look, so that declaring a task with these alone stays cheap.
_PLAIN: Final = frozenset({str, int, float, bool, bytes, list, dict, tuple, set, type(None), None})


class TypeFacts(Struct, frozen=True):
    """Facts about an annotation.

    Attributes:
        has_datetime: a datetime may occur somewhere in a value of it.
        unknown: a class that must occur in a value and has no JSON form, or None.
    """

    has_datetime: bool = False
    unknown: type[Any] | None = None


_NOTHING: Final = TypeFacts()


def is_vague(cls: Any) -> bool:
    """Whether `cls` says what a value can do, not what it is (a protocol, an abstract class, `object`).

    The abstract containers (`Sequence`, `Mapping` ...) are not vague: msgspec knows them.
    """
    if cls is object or getattr(cls, "_is_protocol", False):
        return True
    return inspect.isabstract(cls) and isinstance(_info(cls), _inspect().CustomType)


def read_type(annotation: Any) -> TypeFacts:
    """The facts about `annotation`.

    Raises:
        TypeError: msgspec cannot handle it; says why.
    """
    if annotation is Any or annotation in _PLAIN:
        return _NOTHING
    if annotation is datetime:
        return TypeFacts(has_datetime=True)
    info = _info(annotation)
    return TypeFacts(has_datetime=_has_datetime(info, set()), unknown=_unknown(info))


def _inspect() -> Any:
    import msgspec.inspect  # needed only for types that are not plain

    return msgspec.inspect


def _info(annotation: Any) -> Any:
    return _inspect().type_info(annotation)


def _parts(info: Any) -> list[Any]:
    """The types directly inside `info`, fields of classes left out."""
    found = [getattr(info, name) for name in ("item_type", "key_type", "value_type") if hasattr(info, name)]
    for name in ("item_types", "types"):
        found.extend(getattr(info, name, ()))
    if (wrapped := getattr(info, "type", None)) is not None:  # Metadata: an annotated type
        found.append(wrapped)
    return found


def _has_datetime(info: Any, seen: set[int]) -> bool:
    if id(info) in seen:  # a type may contain itself
        return False
    seen.add(id(info))
    if isinstance(info, _inspect().DateTimeType):
        return True
    fields = [field.type for field in getattr(info, "fields", ())]
    return any(_has_datetime(part, seen) for part in [*_parts(info), *fields])


def _unknown(info: Any) -> type[Any] | None:
    kinds = _inspect()
    if isinstance(info, kinds.CustomType):
        cls: type[Any] = info.cls
        return None if is_known(cls) or is_vague(cls) else cls
    if isinstance(info, kinds.UnionType):  # another member may do
        return None
    return next((found for part in _parts(info) if (found := _unknown(part)) is not None), None)
