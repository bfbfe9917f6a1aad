"""How values become JSON and come back: the one encoder, the hooks for what msgspec does not know, the depth limit.

Known beyond msgspec's own list: paths, subclasses of the plain types, and pydantic models where the program has
imported pydantic.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import PurePath
from typing import Any, Final, cast

from msgspec import MsgspecError, to_builtins
from msgspec.json import Decoder, Encoder

MAX_DEPTH: Final = 64  # nested arrays and objects; every JSON reader copes with this many, and no person writes more
READ_ERRORS: Final = (MsgspecError, ValueError, TypeError, RecursionError, OverflowError)
_SCALARS: Final[tuple[Any, ...]] = (str, int, float)
_STRINGS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_AS_SQUARE: Final = bytes.maketrans(b"{}", b"[]")


def is_model(cls: object) -> bool:
    """Whether `cls` is a pydantic model. Never imports pydantic: a program that uses it has done so."""
    pydantic: Any = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(cls, type) and issubclass(cls, pydantic.BaseModel)


def is_known(cls: type[Any]) -> bool:
    """Whether values of `cls`, a class that msgspec does not know, can travel."""
    return is_model(cls) or issubclass(cls, PurePath)


def encode_hook(value: Any) -> Any:
    """The JSON-able form of a `value` that msgspec does not know.

    Raises:
        TypeError: there is none.
    """
    cls: type[Any] = value.__class__
    if is_model(cls):
        return value.model_dump(mode="json")
    for base in _SCALARS:  # of which this is a subclass, such as numpy's float64
        if isinstance(value, base):
            return base(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, datetime):
        return datetime.fromisoformat(value.isoformat())
    raise TypeError(f"{type(value).__name__} has no JSON form")


def decode_hook(cls: type[Any], value: Any) -> Any:
    """The instance of `cls` that the JSON `value` stands for.

    Raises:
        ValueError: `value` does not fit, or `cls` is not known here.
    """
    if is_model(cls):
        return cls.model_validate(value)
    if issubclass(cls, PurePath) and isinstance(value, str):
        return cls(value)
    raise ValueError(f"Expected `{cls.__name__}`, got `{type(value).__name__}`")


def decoder(annotation: Any) -> Decoder[Any]:
    """A decoder for `annotation`.

    Raises:
        TypeError: msgspec cannot decode into it; says why.
    """
    return Decoder(annotation, dec_hook=decode_hook)


ENCODER: Final = Encoder(enc_hook=encode_hook)


def lost_number(value: Any) -> float | None:
    """A float in `value` that JSON has no form for (NaN, infinity) and that would be written as null, if any."""
    return _not_finite(to_builtins(value, enc_hook=encode_hook))


def _not_finite(plain: Any) -> float | None:
    if isinstance(plain, float):
        return None if math.isfinite(plain) else plain
    parts: Iterable[Any] = ()
    if isinstance(plain, dict):
        parts = cast("dict[Any, Any]", plain).values()
    elif isinstance(plain, list | tuple | set | frozenset):
        parts = cast("list[Any]", plain)
    return next((found for part in parts if (found := _not_finite(part)) is not None), None)


def shown(value: object) -> str:
    """`value` in a message: its type and a short form of it."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a foreign __repr__ may raise anything, and we are reporting an error
        text = f"its repr raises {type(error).__name__}"
    return f"{type(value).__qualname__} {text[:80]}{'…' if len(text) > 80 else ''}"


def why(error: BaseException) -> str:
    """`error` in words for a message of ours, without msgspec's own habits."""
    if isinstance(error, RecursionError):
        return "nested too deep, or in a circle"
    if isinstance(error, UnicodeError) or str(error).startswith("Invalid UTF-8"):  # the latter by msgspec from 0.23 on
        return "text that is not valid UTF-8"
    return str(error)


def is_too_deep(data: bytes, limit: int = MAX_DEPTH) -> bool:
    """Whether `data`, valid JSON, nests arrays and objects deeper than `limit`."""
    if data.count(b"[") + data.count(b"{") <= limit:
        return False
    brackets = _STRINGS.sub(b"", data).translate(_AS_SQUARE, _NOT_BRACKETS)
    for _ in range(limit):  # each round takes the innermost level away, at the speed of C
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return False
    return True
