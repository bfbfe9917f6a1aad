"""What a function's parameters accept: read once, at declaration, from its signature and annotations."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Final, Never, NoReturn, cast, get_args, get_origin, get_type_hints

from msgspec import Struct
from msgspec.json import Decoder

from naq.codec.streamed import Streamed, is_stream, item_type
from naq.codec.types import is_vague, read_type
from naq.codec.values import decoder
from naq.exceptions import ConfigurationError

_KINDS: Final = inspect.Parameter
_MANY: Final = frozenset({_KINDS.VAR_POSITIONAL, _KINDS.VAR_KEYWORD})
_NO_VALUE: Final[tuple[Any, ...]] = (NoReturn, Never)


class Parameter(Struct, frozen=True):
    """One parameter: its name, how to decode a value for it, and how to name its type in a message."""

    name: str
    annotation: Any
    decoder: Decoder[Any]
    required: bool
    has_datetime: bool  # somewhere in its type
    unknown: type[Any] | None  # a class in it that has no JSON form

    @property
    def expected(self) -> str:
        """The type in words a reader of the code knows."""
        return type_name(self.annotation)


class Parameters(Struct, frozen=True):
    """All parameters of a function, by the ways in which they can be given."""

    signature: inspect.Signature
    positional: tuple[Parameter, ...]
    by_name: dict[str, Parameter]
    rest: Parameter | None  # *args
    extra: Parameter | None  # **kwargs
    result: Parameter
    item: Parameter | None  # of a generator, what it gives

    @property
    def has_datetime(self) -> bool:
        """Whether an argument may hold a datetime."""
        given = (*self.positional, *self.by_name.values(), self.rest, self.extra)
        return any(parameter is not None and parameter.has_datetime for parameter in given)


def type_name(annotation: Any) -> str:
    """`annotation` as one would write it."""
    if get_origin(annotation) is Annotated:
        return type_name(get_args(annotation)[0])
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__qualname__
    return str(annotation).replace("typing.", "")


class PickledOnly:
    """Stands for a type that JSON cannot carry, in a task whose arguments are pickled: no JSON decodes to it."""


def read_parameters(func: Callable[..., Any], task: str, *, pickled: bool = False) -> Parameters:
    """What `func` takes and returns. `pickled`: its arguments need no JSON form, because they are pickled.

    Raises:
        ConfigurationError: it has no readable signature, an annotation cannot be resolved, or a required parameter is
            of a type that cannot travel.
    """
    try:
        signature = inspect.signature(func)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"task {task!r}: {func!r} has no signature that Python can read: {error}") from error
    hints = _hints(func, task)
    positional: list[Parameter] = []
    by_name: dict[str, Parameter] = {}
    rest = extra = None
    for parameter in signature.parameters.values():
        ours = _parameter(task, parameter, hints.get(parameter.name, Any), pickled=pickled)
        match parameter.kind:
            case _KINDS.VAR_POSITIONAL:
                rest = ours
            case _KINDS.VAR_KEYWORD:
                extra = ours
            case kind:
                if kind is not _KINDS.KEYWORD_ONLY:
                    positional.append(ours)
                if kind is not _KINDS.POSITIONAL_ONLY:
                    by_name[parameter.name] = ours
    returns = hints.get("return", Any)
    if not is_stream(func):
        result = _result(task, "the result", returns)
        return Parameters(signature, tuple(positional), by_name, rest, extra, result, None)
    result = _result(task, "the result", Streamed)
    item = _result(task, "an item", item_type(returns))
    return Parameters(signature, tuple(positional), by_name, rest, extra, result, item)


def _hints(func: Callable[..., Any], task: str) -> dict[str, Any]:
    target: Any = inspect.unwrap(func)
    while isinstance(target, functools.partial):
        target = inspect.unwrap(cast("functools.partial[Any]", target).func)
    if not inspect.isroutine(target):
        target = type(target).__call__
    try:
        return get_type_hints(target, include_extras=True)
    except Exception as error:  # an annotation is any expression at all, evaluated here
        raise ConfigurationError(
            f"task {task!r}: its annotations cannot be resolved ({type(error).__name__}: {error}): names in them must"
            " exist at run time in the task's module, not only under TYPE_CHECKING or inside a function"
        ) from error


def _parameter(task: str, parameter: inspect.Parameter, annotation: Any, *, pickled: bool) -> Parameter:
    what = f"task {task!r}: parameter {parameter.name!r}"
    required = parameter.default is parameter.empty and parameter.kind not in _MANY
    try:
        made = _make(what, parameter.name, annotation, required=required)
    except ConfigurationError:
        if not pickled:
            raise
        return Parameter(parameter.name, annotation, decoder(PickledOnly), required, has_datetime=False, unknown=None)
    if not pickled and required and (unknown := made.unknown) is not None:
        raise ConfigurationError(
            f"{what} is a {made.expected}, but a {unknown.__qualname__} has no JSON form: pass what the task needs to"
            " make one (an id, an address), or give the parameter a default"
        )
    return made


def _result(task: str, what: str, annotation: Any) -> Parameter:
    if annotation in _NO_VALUE:
        annotation = Any
    made = _make(f"task {task!r}: {what}", "return", annotation, required=True)
    if (unknown := made.unknown) is not None:
        raise ConfigurationError(
            f"task {task!r}: {what} is a {made.expected}, but a {unknown.__qualname__} has no JSON form: return the"
            " data that matters of it, or nothing"
        )
    return made


def _make(what: str, name: str, annotation: Any, *, required: bool) -> Parameter:
    if annotation is inspect.Parameter.empty or is_vague(get_origin(annotation) or annotation):
        annotation = Any
    try:
        facts = read_type(annotation)
        return Parameter(name, annotation, decoder(annotation), required, facts.has_datetime, facts.unknown)
    except (TypeError, ValueError, NameError, AttributeError) as error:
        raise ConfigurationError(f"{what} is a {type_name(annotation)}, which JSON cannot carry: {error}") from error
