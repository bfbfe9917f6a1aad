"""Jobs of tasks whose code is not here: made, and checked, by what their workers have said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from naq.app import Naq
from naq.backends.base import Backend
from naq.config import Config
from naq.exceptions import SerializationError
from naq.server.problems import Problem
from naq.server.recall import Recall
from naq.task import JobSettings, Task, describe
from naq.task.call import Call
from naq.task.describe import Described
from naq.task.taken import Taken

KNOWN_FOR: Final = 5.0  # seconds that what was said of a task is not looked up again
MOST: Final = 1_000  # tasks that are remembered


async def _anything(*args: Any, **kwargs: Any) -> Any:
    """A task of which nothing is known but its name."""


class Known:
    """A task as the server knows it: by what workers said (`described`; None: nothing), ready to be called.

    Attributes:
        version: that of its parameters.
    """

    def __init__(self, config: Config, name: str, described: Described | None) -> None:
        self._taken: Final = None if described is None else Taken(described)
        self.version: Final = 1 if described is None else described.version
        options: dict[str, Any] = {}
        if described is not None:
            options = {"queue": described.queue, "priority": described.priority, "version": described.version}
        fields: dict[str, Any] = {field: getattr(config, field) for field in config.__struct_fields__}
        app = Naq(config.namespace, **fields)
        app.task(name=name, **options)(_anything)
        self._task: Final[Task[..., Any]] = app.get_task(name)

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any], **options: Any) -> Call[Any]:
        """A call, to be enqueued.

        Raises:
            Problem: ``invalid``; its arguments are none that the task takes, each with its place.
            ConfigurationError, SerializationError: its options cannot be.
        """
        self.check(args, kwargs)
        settings = cast("JobSettings", {name: value for name, value in options.items() if value is not None})
        return self._task.options(**settings).call(*args, **kwargs)

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Refuse arguments that the task does not take, as far as its workers have said what it takes.

        Raises:
            Problem: ``invalid``, with each place as a JSON Pointer into ``{"args": [...], "kwargs": {...}}``.
        """
        if self._taken is not None and (errors := self._taken.errors(args, kwargs)):
            raise Problem("invalid", f"{self._task.name}: {errors[0]['message']}", errors=errors)


class Caller:
    """What the server has heard of tasks."""

    def __init__(self, config: Config) -> None:
        self.config: Final = config
        self._known: Final = Recall[str, Known](ttl=KNOWN_FOR, most=MOST)

    async def know(self, backend: Backend, task: str) -> Known:
        """What is known of `task`, as its workers have said it last."""
        if (known := self._known.get(task)) is None:
            entry = await backend.entry(describe.KIND, describe.key_of(task))
            known = Known(self.config, task, None if entry is None else _read(entry.value))
            self._known.put(task, known)
        return known


def _read(value: bytes) -> Described | None:
    try:
        return describe.decode(value)
    except SerializationError:  # of another version: the worker will check
        return None
