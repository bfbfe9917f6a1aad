"""Reading a well-formed command line without the library that reads every one, and takes as long as all else together.

It takes what is beyond doubt: known commands, options by their whole names, plain values. Whatever else a line
holds, a request for help, a mistake, a rarer form, it leaves to `naq.cli.parser`; where both read a line, they read the
same (`tests/cli/test_quick.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter as Declared
from inspect import signature
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from naq.cli.parameter import Group, imported, is_spread, option_name

_Read = Callable[[str], Any]  # a value of text; ValueError where that is in doubt
_WHOLE: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)
_UNSURE: Final = frozenset({"", "none", "null"})  # which may mean that there is no value


class Line(NamedTuple):
    """A command and what to call it with."""

    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]


class Option(NamedTuple):
    """An option: the parameter that it is for, its field in there ("": the parameter itself), and how it is read."""

    parameter: str
    field: str
    kind: type[Any] | None  # bool, list, or None for one value
    read: _Read


def read(commands: Mapping[str, str], words: Sequence[str]) -> Line | None:
    """What `words` say, `commands` being where those at the top are; None where that is not beyond doubt.

    Raises:
        ImportError: the command's file cannot be imported.
    """
    if not words or words[0] not in commands:
        return None
    found, rest = imported(commands[words[0]]), words[1:]
    if isinstance(found, Group):
        if not rest or rest[0] not in found.commands:
            return None
        found, rest = found.commands[rest[0]], rest[1:]
        if isinstance(found, str):
            found = imported(found)
    try:
        return _bind(found, rest)
    except ValueError:
        return None


def _bind(function: Callable[..., Any], words: Sequence[str]) -> Line | None:
    """`words` as arguments of `function`."""
    hints = get_type_hints(function, include_extras=True)
    declared = signature(function).parameters.values()
    options = options_of(function)
    plain: list[str] = []
    given: dict[str, dict[str, Any]] = {}
    left = iter(words)
    before = "-"
    for word in left:
        if word[:1] != "-":
            if plain and before[:1] == "-":  # words with an option among them
                return None
            plain.append(before := word)
            continue
        before = "-"
        name, sign, value = word.partition("=")
        option = options.get(name)
        if option is None or (option.kind is bool and sign):
            return None
        fields = given.setdefault(option.parameter, {})
        value = True if option.kind is bool else option.read(value if sign else next(left, ""))
        if option.kind is list:
            value = [*fields.get(option.field, ()), value]
        elif option.field in fields:
            return None
        fields[option.field] = value
    args = _places([each for each in declared if each.kind is Declared.POSITIONAL_ONLY], hints, plain)
    if args is None or any(
        each.kind is Declared.KEYWORD_ONLY and each.default is Declared.empty and each.name not in given
        for each in declared
    ):
        return None
    kwargs = {name: fields[""] if "" in fields else _inner(hints[name])[0](**fields) for name, fields in given.items()}
    return Line(function, args, kwargs)


def _places(places: Sequence[Declared], hints: Mapping[str, Any], words: Sequence[str]) -> list[Any] | None:
    """`words` as arguments by place; the last may take all that follow."""
    args: list[Any] = []
    for index, place in enumerate(places):
        kind, read_one = _kind(_inner(hints[place.name])[0])
        if kind is list:
            if not words[index:]:
                break
            return [*args, [read_one(word) for word in words[index:]]]
        if index == len(words):
            break
        args.append(read_one(words[index]))
    if len(words) > len(args) or any(place.default is Declared.empty for place in places[len(args) :]):
        return None
    return args


def options_of(function: Callable[..., Any]) -> dict[str, Option]:
    """The options of a command, by name."""
    hints = get_type_hints(function, include_extras=True)
    return {
        name: option
        for parameter in signature(function).parameters.values()
        if parameter.kind is Declared.KEYWORD_ONLY
        for name, option in _options(parameter.name, hints[parameter.name])
    }


def _options(parameter: str, hint: Any) -> list[tuple[str, Option]]:
    """The options that a parameter makes, by name."""
    inner, _ = _inner(hint)
    fields = get_type_hints(inner, include_extras=True) if is_spread(inner) else {"": hint}
    found: list[tuple[str, Option]] = []
    for field, each in fields.items():
        kind, names = _inner(each)
        option = Option(parameter, field, *_kind(kind))
        found += [(name, option) for name in names or (f"--{option_name(field or parameter)}",)]
    return found


def _inner(hint: Any) -> tuple[Any, tuple[str, ...]]:
    """A type without what stands beside it and without None; and the names that stand beside it."""
    names: tuple[str, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *beside = get_args(hint)
        names = next((tuple(each.name or ()) for each in beside if hasattr(each, "name")), ())
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        hint = kinds[0] if len(kinds) == 1 else hint
    return hint, names


def _kind(kind: Any) -> tuple[type[Any] | None, _Read]:
    """How values of a type are read."""
    if kind is bool:
        return bool, _never
    if kind == list[str]:
        return list, _text
    if get_origin(kind) is Literal:
        return None, lambda text: _one_of(get_args(kind), text)
    return None, _READERS.get(kind, _never)


def _never(text: str) -> Any:
    raise ValueError(text)


def _text(text: str) -> str:
    if text[:1] == "-" or text.lower() in _UNSURE:
        raise ValueError(text)
    return text


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if pattern.fullmatch(text) is None:
        raise ValueError(text)
    return text


def _one_of(choices: Sequence[Any], text: str) -> str:
    if text not in choices:
        raise ValueError(text)
    return text


_READERS: Final[Mapping[Any, _Read]] = {
    str: _text,
    int: lambda text: int(_matching(_WHOLE, text)),
    float: lambda text: float(_matching(_NUMBER, text)),
    Path: lambda text: Path(_text(text)),
}
