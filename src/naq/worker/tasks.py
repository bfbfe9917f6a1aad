"""From a task's name in a message to the function that may be run: registered, or of a module we were told to import.

A name is never a reason to import anything. ``os:system`` in a message is refused, and nothing of it happens.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from naq.exceptions import ConfigurationError
from naq.task.function import find_in, importable, own_functions, split_path

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.task import Task


class ImportPathRefused(Exception):
    """The name is an import path into a module that this worker was not told to import."""


class Tasks:
    """What one worker may run: the tasks of its app, and the functions of the modules in `imports`.

    A function goes by ``module.function`` or ``module:function``. The modules must have been imported by the time their
    functions are asked for (`naq.worker.loader`).
    """

    def __init__(self, app: Naq, imports: Sequence[str] = ()) -> None:
        self._app = app
        self._modules: Final = importable(tuple(imports))
        self._found: dict[str, Task[..., Any]] = {}

    def names(self) -> list[str]:
        """The registered tasks, and the functions of imported modules, in order."""
        found = set(self._app.tasks)
        for name, module in self._modules.items():
            own = own_functions(sys.modules[module]).keys() if module in sys.modules else ()
            found.update(path for each in own if self._imported(path := f"{name}.{each}") is not None)
        return sorted(found)

    def queues(self) -> list[str]:
        """The queues that the registered tasks are enqueued to."""
        return sorted({task.declared.queue for task in self._app.tasks.values()})

    def find(self, name: str) -> Task[..., Any] | None:
        """The task called `name`, or None where this worker has none.

        Raises:
            ImportPathRefused: `name` says ``module:function`` and leads out of the imported modules.
        """
        task = self._found.get(name)
        if task is None and (task := self._app.tasks.get(name) or self._imported(name)) is not None:
            self._found[name] = task
        return task

    def _imported(self, name: str) -> Task[..., Any] | None:
        module, function = split_path(name)
        registered = self._app.tasks.get(f"{module}.{function}")
        if registered is not None:
            return registered
        if module not in self._modules:
            if ":" in name:
                raise ImportPathRefused
            return None  # a task's name may look like this: it waits for a worker that has it
        from naq.task import Task

        found = find_in(self._modules, module, function)
        if found is None or isinstance(found, Task):
            return None if found is None else self._app.tasks.get(found.name)
        from naq.task.options import TaskOptions
        from naq.task.task import make_task

        try:
            return make_task(name, found, TaskOptions(), self._app)
        except ConfigurationError:  # its parameters cannot come out of a message: it is no task
            return None
