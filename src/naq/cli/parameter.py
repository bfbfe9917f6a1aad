"""What commands declare: groups, and what stands beside the types of parameters. Loads no parser.

`naq.cli.quick` reads a well-formed line with it; `naq.cli.parser` makes of it what a library reads everything with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C")

_SPREAD: Final = "__spread__"


class Parameter:
    """What a parameter is called on the command line, and how it is read and shown; goes into `Annotated`.

    Attributes:
        name: all its names; none: the parameter's own.
        further: what `naq.cli.parser` gives to its library besides.
    """

    __slots__ = ("further", "name")

    def __init__(self, *, name: str | Sequence[str] = (), **further: bool | str) -> None:
        self.name: Final[tuple[str, ...]] = (name,) if isinstance(name, str) else tuple(name)
        self.further: Final = further


def spread(kind: type[C]) -> type[C]:
    """Make the fields of a dataclass options of every command that takes one."""
    setattr(kind, _SPREAD, True)
    return kind


def is_spread(kind: object) -> bool:
    """Whether its fields are options."""
    return getattr(kind, _SPREAD, False)


def option_name(name: str) -> str:
    """What a parameter is called, where it says nothing else; without the hyphens in front."""
    return name.strip("_").replace("_", "-")


class Group:
    """Commands under one word, such as ``naq jobs``.

    Attributes:
        commands: by name, functions or where they are ("module:name"), imported when asked for.
        texts: what a list says of those that are elsewhere.
    """

    def __init__(self, name: str, text: str) -> None:
        self.name: Final = name
        self.text: Final = text
        self.commands: Final[dict[str, Callable[..., Any] | str]] = {}
        self.texts: Final[dict[str, str]] = {}

    @overload
    def command(self, function: F, /) -> F: ...
    @overload
    def command(self, /, *, name: str) -> Callable[[F], F]: ...
    def command(self, function: F | None = None, /, *, name: str = "") -> F | Callable[[F], F]:
        """Register the function below as a command; `name` where it is not the function's."""

        def register(function: F) -> F:
            self.commands[name or option_name(function.__name__)] = function
            return function

        return register if function is None else register(function)

    def add(self, place: str, name: str, text: str) -> None:
        """Register a command that is elsewhere; its own docstring says more than `text`."""
        self.commands[name] = place
        self.texts[name] = text


def imported(place: str) -> Any:
    """The function or group at "module:name"."""
    from importlib import import_module

    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
