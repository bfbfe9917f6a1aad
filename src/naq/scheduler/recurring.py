"""``@app.cron`` and ``@app.every``: a task that runs again and again, as its code says."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, ParamSpec, Protocol, TypeVar, cast, overload

from naq.exceptions import ConfigurationError
from naq.names import MAX_TOKEN
from naq.scheduler.declared import Declared
from naq.scheduler.ticks import check_limits
from naq.task.task import AsyncTask, SyncTask, Task

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", bound=Task[..., Any])
_OTHER: Final = re.compile(r"[^A-Za-z0-9_-]+")


class ScheduleDecorator(Protocol):
    """What ``@app.cron(...)`` returns: it declares a schedule of a task, and makes a function a task first."""

    # The overlaps are meant: a task can be called as a function, and a coroutine function as a plain one.
    @overload
    def __call__(self, func: T, /) -> T: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def __call__(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def __call__(self, func: Callable[P, R], /) -> SyncTask[P, R]: ...


class Declarations:
    """The schedules that an app declares."""

    def __init__(self, register: Callable[[Callable[..., Any]], Task[..., Any]]) -> None:
        self._register = register
        self.all: Final[dict[str, Declared]] = {}

    def decorator(
        self, name: str | None, args: Sequence[Any], kwargs: Mapping[str, Any] | None, timing: Mapping[str, Any]
    ) -> ScheduleDecorator:
        """A decorator that declares a schedule; its options are checked here, where they stand in the code.

        Raises:
            ConfigurationError: an option cannot be.
        """
        named = dict(kwargs or {})
        Declared(name or "declared", _nothing, timing)

        def declare(func: Callable[..., Any], /) -> Task[..., Any]:
            task = cast("Task[..., Any]", func) if isinstance(func, Task) else self._register(func)
            call = task.call(*args, **named)
            # What does not fit shows now, not when a worker starts.
            task.signature.encode(tuple(args), named)
            check_limits(call)
            chosen = name or _OTHER.sub("-", task.name)[-MAX_TOKEN:]
            if chosen in self.all:
                raise ConfigurationError(
                    f"there are two schedules {chosen!r}; name one of them: @app.cron(..., name=...)"
                )
            self.all[chosen] = Declared(chosen, lambda: call, timing)
            return task

        return cast("ScheduleDecorator", declare)


def _nothing() -> Any:
    """The call of a declaration that is only checked."""
