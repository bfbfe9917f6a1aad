"""``@app.on("order.*")``: tasks that are called with the data of events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec.structs import replace

from naq.events.publishing import EventType
from naq.events.wire import HANDLER, Handler, check_pattern, handler_key, read_handler, write_handler
from naq.exceptions import ConfigurationError
from naq.task import Task

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.config import Config


class Declared:
    """What the code says of a handler: for which events, and whether for those before it as well."""

    def __init__(self, task: Task[..., Any], patterns: list[str], replay: bool, since: float | None) -> None:
        self.task: Final = task
        self.patterns: Final = patterns
        self.replay: Final = replay
        self.since: Final = since


class Handlers:
    """The handlers that an app declares."""

    def __init__(self) -> None:
        self.all: Final[dict[str, Declared]] = {}

    def add(self, task: Task[..., Any], patterns: Sequence[str], *, replay: bool, since: float | None) -> None:
        """Let `task` handle events.

        Raises:
            ConfigurationError: it cannot be called with their data alone.
        """
        before = self.all.get(task.name)
        try:
            task.signature.encode_around((None,), {}, {0})
        except Exception as error:
            raise ConfigurationError(
                f"task {task.name} cannot handle events: it must be callable with one argument, their data: {error}"
            ) from error
        known = [] if before is None else before.patterns
        merged = [*known, *(each for each in patterns if each not in known)]
        self.all[task.name] = Declared(task, merged, replay, since)


def read_patterns(patterns: Sequence[str | EventType[Any]]) -> list[str]:
    """What ``@app.on(...)`` was given, as patterns.

    Raises:
        ConfigurationError: nothing, or no pattern.
    """
    if not patterns or callable(patterns[0]):
        raise ConfigurationError('say which events: @app.on("order.placed"), @app.on("order.*")')
    return [each.name if isinstance(each, EventType) else check_pattern(each) for each in patterns]


def read_since(since: datetime | float | None) -> float | None:
    """UNIX seconds from what ``since=`` was given; a datetime without an offset means UTC."""
    if isinstance(since, datetime):
        from naq.codec.utc import as_utc

        return cast("datetime", as_utc(since)).timestamp()
    return since


async def register(backend: Backend, config: Config, handlers: Sequence[Declared]) -> None:
    """Let every worker of the fleet know of `handlers`: what is published from here on is for them."""
    for declared in handlers:
        task, key = declared.task, handler_key(declared.task.name)
        while True:
            entry = await backend.entry(HANDLER, key)
            there = None if entry is None else read_handler(config, entry)
            if there is None:
                everything = declared.replay or declared.since is not None
                after = None if everything else await backend.latest()
                there = Handler(task=task.name, patterns=[], after=after, since=declared.since)
            wanted = replace(
                there, patterns=declared.patterns, queue=task.declared.queue, priority=task.declared.priority,
                version=task.declared.version,
            )  # fmt: skip
            version = 0 if entry is None else entry.version
            if entry is not None and wanted == there:
                break
            if await backend.put(HANDLER, key, write_handler(config, wanted), expect=version) is not None:
                break


async def forget(backend: Backend, task: str) -> bool:
    """Let the handler `task` get no more events; whether there was one. A worker that has it brings it back."""
    return await backend.remove(HANDLER, handler_key(task))


async def known(backend: Backend, config: Config) -> list[Handler]:
    """All handlers of the fleet, by task."""
    found = [read_handler(config, entry) for entry in await backend.entries(HANDLER)]
    return sorted(found, key=lambda handler: handler.task)


def decorator(
    handlers: Handlers,
    patterns: list[str],
    register_task: Callable[[Callable[..., Any]], Task[..., Any]],
    *,
    replay: bool,
    since: float | None,
) -> Callable[[Callable[..., Any]], Task[..., Any]]:
    """What ``@app.on(...)`` returns."""

    def handle(func: Callable[..., Any], /) -> Task[..., Any]:
        task = cast("Task[..., Any]", func) if isinstance(func, Task) else register_task(func)
        handlers.add(task, patterns, replay=replay, since=since)
        return task

    return handle
