"""Where a child finds the tasks of its worker: where that one was told they are, never where a message says."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from naq.exceptions import ConfigurationError
from naq.task.naming import module_name
from naq.worker.loader import import_named, load_app

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.task import Task


class Source(Struct, frozen=True):
    """What the worker was started with: the app's place (``module:app``), and modules to import before it."""

    app: str | None = None
    modules: tuple[str, ...] = ()


def address_of(func: Callable[..., Any]) -> str | None:
    """``module:qualname`` of `func`, or None where no import leads to it."""
    qualified = getattr(func, "__qualname__", "<")
    if "<" in qualified:
        return None
    try:
        return f"{module_name(func.__module__)}:{qualified}"
    except ConfigurationError:  # an interactive session
        return None


def check_reachable(tasks: Iterable[Task[..., Any]], source: Source) -> None:
    """Refuse tasks that no child could find.

    Raises:
        ConfigurationError: names the first of them, and says what to do.
    """
    for task in tasks:
        if task.in_process and source.app is None and address_of(inspect.unwrap(task.func)) is None:
            raise ConfigurationError(
                f"task {task.name} has executor='process', but no new process could import its function "
                f"({task.func!r}): define it at the top of a module, or start the worker by its app's place "
                "(naq worker module:app, or Worker(app, source='module:app'))"
            )


class Finder:
    """Finds tasks in a child. Importing happens here, and runs the modules.

    Raises:
        ConfigurationError: what the worker was started with cannot be imported (here, or by now).
    """

    def __init__(self, source: Source) -> None:
        for module in source.modules:
            import_named(module)
        self._app: Naq | None = None if source.app is None else load_app(source.app)
        self._found: dict[str, Task[..., Any]] = {}

    def find(self, name: str, address: str | None) -> Task[..., Any]:
        """The task called `name`: of the app, or of the module that `address` names.

        Raises:
            ConfigurationError: there is none.
        """
        task = self._found.get(name)
        if task is None:
            task = self._app.tasks.get(name) if self._app is not None else None
            if task is None and address is not None:
                task = _at(name, address)
            if task is None:
                where = address or "its app"
                raise ConfigurationError(f"task {name} cannot be found in a new process (looked in {where})")
            self._found[name] = task
        return task


def _at(name: str, address: str) -> Task[..., Any] | None:
    from naq.app import Naq
    from naq.task import Task

    module_part, _, qualified = address.partition(":")
    module = import_named(module_part)
    found: object = module
    for part in qualified.split("."):
        found = getattr(found, part, None)
    # The function itself may stand there undecorated, with the task under another name or only on its app.
    for candidate in (found, *vars(module).values()):
        if isinstance(candidate, Task) and candidate.name == name:
            return candidate  # pyright: ignore[reportUnknownVariableType]
        if isinstance(candidate, Naq) and (task := candidate.tasks.get(name)) is not None:
            return task
    return None
