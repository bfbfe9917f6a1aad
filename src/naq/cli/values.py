"""Arguments, moments and tags as people write them on a command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from naq.cli.errors import UsageError
from naq.config.fields import read_seconds

_NAMED: Final = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


def read_arguments(words: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
    """What to call a task with: a JSON array or object, ``name=value`` pairs and plain values.

    A value is JSON if it reads as such, else text.

    Raises:
        UsageError: something that begins as a JSON array or object and is none.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for word in words:
        if word[:1] == "[" and len(words) == 1:
            args += _container(word)
        elif word[:1] == "{":
            kwargs |= _container(word)
        elif (found := _NAMED.fullmatch(word)) is not None:
            kwargs[found[1]] = _value(found[2])
        else:
            args.append(_value(word))
    return args, kwargs


def read_line(line: bytes, number: int) -> tuple[list[Any], dict[str, Any]]:
    """The arguments in one line of a file: a JSON array or object.

    Raises:
        UsageError: it is neither; names the line.
    """
    try:
        value = msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        raise UsageError(f"line {number} is not JSON: {error}; each line is an array or an object") from None
    match value:
        case list():
            return value, {}  # pyright: ignore[reportUnknownVariableType]
        case dict():
            return [], value  # pyright: ignore[reportUnknownVariableType]
        case _:
            raise UsageError(f"line {number} is a {type(value).__name__}; each line is a JSON array or object")


def _container(word: str) -> Any:
    try:
        return msgspec.json.decode(word)
    except msgspec.DecodeError as error:
        raise UsageError(f"{word[:80]!r} is not JSON ({error}); quote it as one word, or write name=value") from None


def _value(word: str) -> Any:
    try:
        return msgspec.json.decode(word)
    except msgspec.DecodeError:
        return word


def read_duration(option: str, text: str | None) -> float | None:
    """Seconds of ``30``, ``30s``, ``5m``, ``2h``, ``1d``.

    Raises:
        UsageError: it is something else.
    """
    if text is None:
        return None
    try:
        return read_seconds(text)
    except ValueError:
        raise UsageError(f"{option} is {text!r}; write it as 30s, 5m, 2h, 1d or a number of seconds") from None


def read_moment(option: str, text: str | None) -> datetime | None:
    """A point in time, ISO 8601; without an offset it is local time.

    Raises:
        UsageError: it is something else.
    """
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise UsageError(
            f"{option} is {text!r}; write it as 2026-12-24T18:00 (local time) or 2026-12-24T18:00+01:00"
        ) from None


def read_tags(words: Sequence[str] | None) -> dict[str, str]:
    """``name=value`` pairs.

    Raises:
        UsageError: one is none.
    """
    pairs = [(word, word.partition("=")) for word in words or ()]
    if bad := next((word for word, (name, sign, _) in pairs if not name or not sign), None):
        raise UsageError(f"--tag is {bad!r}; write it as name=value")
    return {name: value for _, (name, _, value) in pairs}
