"""Several middlewares as one call, put together when they are registered. Nothing registered: None, and no cost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from naq.context import Context
from naq.exceptions import ConfigurationError
from naq.middleware.base import Call, Middleware, NewJob, Store

AroundEnqueue = Callable[[Sequence[NewJob], Store], Awaitable[None]]
AroundRun = Callable[[Context, Call], Awaitable[Any]]


def check(middleware: object) -> Middleware:
    """`middleware`, if it is one.

    Raises:
        ConfigurationError: it is something else; says what was forgotten, where that is plain.
    """
    if isinstance(middleware, Middleware):
        return middleware
    if isinstance(middleware, type) and issubclass(middleware, Middleware):
        raise ConfigurationError(
            f"{middleware.__name__} is a class; a middleware is an object: {middleware.__name__}()"
        )
    raise ConfigurationError(f"{middleware!r} is no middleware; derive its class from naq.middleware.Middleware")


def around_enqueue(middleware: Sequence[Middleware]) -> AroundEnqueue | None:
    """All of them around an enqueue, the first outermost; None if none of them has anything to do there."""
    layers = [each.enqueue for each in reversed(middleware) if type(each).enqueue is not Middleware.enqueue]
    if not layers:
        return None

    def through(jobs: Sequence[NewJob], store: Store) -> Awaitable[None]:
        for layer in layers:
            store = partial(layer, jobs, store)
        return store()

    return through


def around_run(middleware: Sequence[Middleware]) -> AroundRun | None:
    """All of them around an attempt, the first outermost; None if none of them has anything to do there."""
    layers = [each.run for each in reversed(middleware) if type(each).run is not Middleware.run]
    if not layers:
        return None

    def through(context: Context, call: Call) -> Awaitable[Any]:
        for layer in layers:
            call = partial(layer, context, call)
        return call()

    return through
