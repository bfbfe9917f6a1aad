"""From a task's name in a message to the function that may be run: registered, or of a module we were told to import.

A name is never a reason to import anything. ``os:system`` in a message is refused, and nothing of it happens.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from naq.exceptions import ConfigurationError

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.task import Task


class ImportPathRefused(Exception):
    """The name is an import path into a module that this worker was not told to import."""


class Tasks:
    """What one worker may run: the tasks of its app, and the functions of the modules in `imports`.

    The modules must have been imported by the time their functions are asked for (`naq.worker.loader`).
    """

    def __init__(self, app: Naq, imports: Sequence[str] = ()) -> None:
        self._app = app
        self._imports: Final = frozenset(imports)
        self._found: dict[str, Task[..., Any]] = {}

    def names(self) -> list[str]:
        """The registered tasks, in order."""
        return sorted(self._app.tasks)

    def queues(self) -> list[str]:
        """The queues that the registered tasks are enqueued to."""
        return sorted({task.declared.queue for task in self._app.tasks.values()})

    def find(self, name: str) -> Task[..., Any] | None:
        """The task called `name`, or None where this worker has none.

        Raises:
            ImportPathRefused: `name` is an import path that leads out of the imported modules.
        """
        task = self._found.get(name)
        if task is None and (task := self._app.tasks.get(name) or self._imported(name)) is not None:
            self._found[name] = task
        return task

    def _imported(self, name: str) -> Task[..., Any] | None:
        module_name, colon, function_name = name.partition(":")
        if not colon:
            return None
        if module_name not in self._imports:
            raise ImportPathRefused
        module = sys.modules.get(module_name)
        found = None if function_name.startswith("_") else vars(module).get(function_name) if module else None
        from naq.task import Task

        if isinstance(found, Task):
            return self._app.tasks.get(found.name)
        # Only what the module defines itself: what it has imported (`from os import system`) is not its own.
        if not inspect.isfunction(found) or found.__module__ != module_name:
            return None
        from naq.task.options import TaskOptions
        from naq.task.task import make_task

        try:
            return make_task(name, found, TaskOptions(), self._app)
        except ConfigurationError:  # its parameters cannot come out of a message: it is no task
            return None
