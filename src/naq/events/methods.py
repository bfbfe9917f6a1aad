"""What an app knows of events: the methods that `naq.Naq` has from here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast, overload

from naq.task.options import read_task_options

if TYPE_CHECKING:
    from naq.connections import Host
    from naq.events.handling import Handlers
    from naq.events.publishing import EventType
    from naq.task import Task, TaskDecorator, TaskSettings

T = TypeVar("T")


class EventMethods:
    """Publishing events, and tasks that handle them."""

    _handlers: Handlers | None = None

    def _register(self, func: Callable[..., Any], settings: Mapping[str, Any]) -> Task[..., Any]:
        """Make a function a task of this app; see `Naq.task`."""
        raise NotImplementedError

    @overload
    def event(self, name: str, /) -> EventType[Any]: ...
    @overload
    def event(self, name: str, type_: type[T], /) -> EventType[T]: ...
    def event(self, name: str, type_: Any = Any, /) -> EventType[Any]:
        """A kind of event, such as ``order.placed``, whose data are a `type_`: ``await app.event(...).publish(data)``.

        Raises:
            ConfigurationError: it is no name of an event, or JSON cannot carry the type.
        """
        from naq.events.publishing import EventType

        return EventType(name, type_, cast("Host", self))

    def on(
        self,
        *patterns: str | EventType[Any],
        replay: bool = False,
        since: datetime | float | None = None,
        **settings: Unpack[TaskSettings],
    ) -> TaskDecorator:
        """Call a task with the data of events: ``@app.on("order.*", retries=3)`` on a function or a task.

        Each event is a job of its own, with the task's own retries. Patterns: ``*`` is any one word, ``>`` at the end
        all that follow. Events count from when a worker first has the handler; `replay`: also those before, as far as
        they are kept (`record_ttl`); `since`: those from this time on. Other options: as `Naq.task`.

        Raises:
            ConfigurationError: a pattern or option that cannot be, or a function that takes no argument, or several.
        """
        from naq.events.handling import Handlers, decorator, read_patterns, read_since

        if self._handlers is None:
            self._handlers = Handlers()
        read_task_options("@app.on", {name: value for name, value in settings.items() if name != "name"})
        made = decorator(
            self._handlers,
            read_patterns(patterns),
            lambda func: self._register(func, settings),
            replay=replay,
            since=read_since(since),
        )
        return cast("TaskDecorator", made)

    @property
    def handles(self) -> Handlers | None:
        """The handlers of events that the code declares; workers make them known when they start."""
        return self._handlers
