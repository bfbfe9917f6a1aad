"""Keys: any JSON value as a short name, the same for values that mean the same (docs/limits.md, "Keys")."""

from __future__ import annotations

import inspect
import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from naq.exceptions import ConfigurationError

LENGTH: Final = 32  # hex digits of a key's name: 128 bits, far beyond any collision by chance
_VERSION: Final = "naq-key-1"  # hashed along, so that another rule would give other names
_encode: Final = msgspec.json.encode
_EXACT: Final = 2**53  # up to here every whole number is a float, and 1 and 1.0 are one value in JSON

KeyOf = str | Sequence[str] | Callable[..., Any]
"""How a key comes from a call: a parameter's name, several, or a function of the same arguments that returns it."""


def token(*parts: Any) -> str:
    """The name of `parts` together: 32 hex digits, the first half of the SHA-256 of their normal form.

    Raises:
        ConfigurationError: a part is no JSON value and cannot be made one.
    """
    import hashlib  # only programs with keys need it, and it takes as long as the rest of this module

    return hashlib.sha256(_encode([_VERSION, *map(normal, parts)])).hexdigest()[:LENGTH]


def normal(value: Any) -> Any:
    """`value` as the one JSON value that stands for all that mean the same.

    Objects are sorted by name, texts composed (Unicode NFC), whole numbers written without a fraction; what JSON has
    no form for (dates, UUIDs, decimals, enums, dataclasses, sets) takes that which it has as an argument of a job.

    Raises:
        ConfigurationError: there is no such value; says why.
    """
    try:
        return _normal(value)
    except RecursionError:
        raise ConfigurationError("a key is nested too deep, or contains itself") from None


def _normal(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    kind = cast("type[Any]", type(value))
    if (known := _KINDS.get(kind)) is not None:
        return known(value)
    try:
        plain = msgspec.to_builtins(value, order="sorted", str_keys=True)
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"a key holds a {kind.__name__}, which has no form in JSON: {error}") from error
    if type(plain) is kind:
        raise ConfigurationError(f"a key holds a {kind.__name__}, which has no form in JSON")
    return _normal(plain)


def _text(value: str) -> str:
    composed = unicodedata.normalize("NFC", value)
    try:
        composed.encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError("a key holds half a surrogate pair, which is no text") from error
    return composed


def _whole(value: int) -> Any:
    # Beyond 64 bits JSON encoders differ; as text it is the same everywhere, and marked, so that it is not that text.
    return value if -(2**63) <= value < 2**64 else {"int": str(value)}


def _float(value: float) -> Any:
    if not math.isfinite(value):
        raise ConfigurationError(f"a key holds {value}, which JSON has no number for")
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value


def _object(value: Mapping[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, each in value.items():
        if not isinstance(name, str):
            raise ConfigurationError(f"a key holds an object with the name {name!r}; names in JSON are text")
        text = _text(name)
        if text in found:
            raise ConfigurationError(f"a key holds an object with two names that mean the same: {text!r}")
        found[text] = _normal(each)
    return dict(sorted(found.items()))


def _array(value: Sequence[Any]) -> list[Any]:
    return [_normal(each) for each in value]


_KINDS: Final[dict[type, Callable[[Any], Any]]] = {
    str: _text, int: _whole, float: _float, list: _array, tuple: _array, dict: _object
}  # fmt: skip


class Taker:
    """Takes the key out of the arguments of a call; made once for a task.

    Raises:
        ConfigurationError: the function has no such parameter, or `of` cannot say.
    """

    __slots__ = ("_call", "_names", "_signature", "_where")

    def __init__(self, where: str, func: Callable[..., Any], of: KeyOf | None) -> None:
        self._where = where
        self._call = of if callable(of) else None
        self._signature = inspect.signature(func)
        self._names: tuple[str, ...] | None = None
        if of is None or self._call is not None:
            return
        names = (of,) if isinstance(of, str) else tuple(cast("Sequence[str]", of))
        known = self._signature.parameters
        if not names or not all(isinstance(name, str) for name in names):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"{where} is {of!r}; expected a parameter's name, several, or a function")
        for name in names:
            if name not in known:
                raise ConfigurationError(
                    f"{where}: there is no parameter {name!r}; there are {', '.join(known) or 'none'}"
                )
        self._names = names

    def __call__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The key of this call: a JSON value; all the arguments by name where nothing was said.

        Raises:
            ConfigurationError: the function that makes it failed.
        """
        if self._call is not None:
            try:
                return self._call(*args, **kwargs)
            except Exception as error:
                raise ConfigurationError(
                    f"{self._where}: the function failed: {type(error).__name__}: {error}"
                ) from error
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ConfigurationError(f"{self._where}: the arguments do not fit: {error}") from error
        bound.apply_defaults()
        values: dict[str, Any] = dict(bound.arguments)
        if self._names is None:
            return values
        found = [values[name] for name in self._names]
        return found[0] if len(found) == 1 else found


def check_key_of(where: str, of: object) -> KeyOf:
    """`of`, if it may say how a key comes from a call.

    Raises:
        ConfigurationError: it may not.
    """
    if callable(of) or isinstance(of, str):
        return cast("KeyOf", of)
    if isinstance(of, Sequence) and of and all(isinstance(name, str) for name in cast("Sequence[object]", of)):
        return tuple(cast("Sequence[str]", of))
    raise ConfigurationError(f"{where} is {of!r}; expected a parameter's name, several of them, or a function")
