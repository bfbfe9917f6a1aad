"""What a task that is a generator has for a result: not its items, which are streamed, but how many there were."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import Any, Final, Generic, TypeVar, get_args, get_origin

from msgspec import Struct

T = TypeVar("T")
_STREAMS: Final = (AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator)


class Streamed(Struct, Generic[T], frozen=True):
    """The result of a job whose task streams items of the type `T`.

    Attributes:
        count: how many items its last attempt gave.
    """

    count: int


def is_stream(func: Callable[..., Any]) -> bool:
    """Whether calling `func` gives a generator, of either kind."""
    return inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func)


def item_type(annotation: Any) -> Any:
    """The type of the items of a generator that is annotated to return `annotation`; Any where it does not say."""
    if get_origin(annotation) in _STREAMS and (parts := get_args(annotation)):
        return parts[0]
    return Any
