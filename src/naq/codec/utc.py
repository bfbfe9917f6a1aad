"""A datetime without an offset is UTC: on the wire, and so in every task, whatever zone its worker stands in."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final, cast

from msgspec import Struct
from msgspec.structs import force_setattr

# How a datetime without an offset looks in JSON. A plain string may look the same: this only says where to look closer.
has_naive: Final = re.compile(rb'[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?"').search


def as_utc(value: Any) -> Any:
    """`value`, which was just decoded and belongs to nobody yet, with UTC given to each naive datetime in it."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, tuple):
        items = cast("tuple[Any, ...]", value)
        made = [as_utc(item) for item in items]
        return type(items)(*made) if hasattr(items, "_fields") else tuple(made)
    if isinstance(value, list | set | frozenset):
        return type(cast("Any", value))(as_utc(item) for item in cast("list[Any]", value))
    if isinstance(value, dict):
        return {as_utc(key): as_utc(item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, Struct):
        for name in value.__struct_fields__:
            force_setattr(value, name, as_utc(getattr(value, name)))
    elif hasattr(value, "__dataclass_fields__"):
        import dataclasses  # imported by whoever made this one

        for field in dataclasses.fields(value):
            object.__setattr__(value, field.name, as_utc(getattr(value, field.name)))
    return value
