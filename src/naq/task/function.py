"""Functions that are jobs without being tasks: named by where an import finds them, ``module.function``.

The rule is one for both sides. A producer may name only what a worker can find: a function at the top of a module,
public, and defined there. A worker looks only into modules that it was told to import.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final, cast

from naq.codec.codecs import get_codec
from naq.codec.envelope import JSON
from naq.codec.signature import Signature
from naq.exceptions import ConfigurationError
from naq.names import check_task
from naq.task.naming import module_name
from naq.task.options import TaskOptions
from naq.task.task import Task

_known: Final[dict[Callable[..., Any], Function]] = {}  # the functions that this process made jobs of
_named: Final[dict[str, Function]] = {}  # the same by name


class Function:
    """What a job needs of a function, or of a task: its name, its options, and how its arguments travel.

    Attributes:
        name: what it is called on the wire.
        func: the function itself.
        declared: the options of the task that it is; those of no task otherwise.
        task: that task.
    """

    __slots__ = ("_signatures", "declared", "func", "name", "task")

    def __init__(self, name: str, func: Callable[..., Any], task: Task[..., Any] | None = None) -> None:
        self.name: Final = name
        self.func: Final = func
        self.task: Final = task
        self.declared: Final = TaskOptions() if task is None else task.declared
        self._signatures: Final[dict[str, Signature]] = {}

    def signature(self, codec: str) -> Signature:
        """How its arguments travel in jobs of `codec`; read once.

        Raises:
            ConfigurationError: a parameter or the result is of a type that cannot travel.
        """
        if (found := self._signatures.get(codec)) is None:
            found = self._signatures[codec] = get_codec(codec).signature(self.func, self.name)
        return found


def read_function(func: Callable[..., Any]) -> Function:
    """`func` as jobs know it.

    Raises:
        ConfigurationError: no worker could find it by import; says what to do.
    """
    if isinstance(func, Task):
        return _of_task(cast("Task[..., Any]", func))
    found = _known.get(func) if inspect.isfunction(func) else None
    if found is None:
        found = _read(func)
        if found.task is None:
            _known[func] = found
            _named[found.name] = found
    return found


def _of_task(task: Task[..., Any]) -> Function:
    return Function(task.name, task.func, task)


def _read(func: Callable[..., Any]) -> Function:
    if not inspect.isfunction(func):
        raise ConfigurationError(
            f"{func!r} is no function of a module; write one: a worker finds a function by its module and name"
        )
    name, module = func.__qualname__, func.__module__
    shown = f"{module}.{name}"
    if "." in name or "<" in name:
        what = "a lambda" if name.endswith("<lambda>") else "not at the top of its module"
        raise ConfigurationError(
            f"{shown} is {what}, where no worker can find it by import; write it as a function at the top of a module"
        )
    if name.startswith("_"):
        raise ConfigurationError(f"{shown} is private (its name begins with '_'), and workers run only public ones")
    there = getattr(sys.modules.get(module), name, None)
    if isinstance(there, Task) and cast("Task[..., Any]", there).func is func:
        return _of_task(cast("Task[..., Any]", there))
    if there is not func:
        raise ConfigurationError(
            f"module {module!r} has another thing by the name {name!r}, or none, so that a worker would not find this "
            "function. A decorator must keep the name it decorates (functools.wraps), and the module be importable"
        )
    return Function(check_task(f"{module_name(module)}.{name}"), func)


def split_path(name: str) -> tuple[str, str]:
    """The module and the function that ``module:function`` or ``module.function`` says; no module where it has none."""
    module, colon, function = name.partition(":")
    if not colon:
        module, _, function = name.rpartition(".")
    return module, function


def importable(modules: tuple[str, ...]) -> dict[str, str]:
    """`modules` by the names that producers address them by: a script that runs as ``__main__`` has one of its own."""
    return {module_name(module): module for module in modules}


def find_in(modules: Mapping[str, str], module: str, function: str) -> Callable[..., Any] | Task[..., Any] | None:
    """The function (or task) `function` of `module`, if that is one of `modules` and was imported; never imports.

    Only what the module defines itself: what it has imported (``from os import system``) is not its own.
    """
    name = modules.get(module)
    there = sys.modules.get(name) if name is not None else None
    return None if there is None else own_functions(there).get(function)


def own_functions(module: ModuleType) -> dict[str, Callable[..., Any] | Task[..., Any]]:
    """The public functions that `module` defines, and the tasks it holds, by name."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (isinstance(value, Task) or (inspect.isfunction(value) and value.__module__ == module.__name__))
    }


def find_known(name: str, imports: tuple[str, ...]) -> Function | None:
    """The function `name`: one that this process made jobs of, or of a module in `imports`; imports nothing itself."""
    if (known := _named.get(name)) is not None:
        return known
    found = find_in(importable(imports), *split_path(name))
    return None if found is None else read_function(found)


def decode_result(task: str, raw: Any) -> Any:
    """A result of the task called `task`: typed where this process made jobs of that function, else plain JSON.

    Raises:
        SerializationError: it is of another type than the function's annotation says.
    """
    known = _named.get(task)
    return (_UNTYPED if known is None else known.signature(JSON)).decode_result(raw)


def _anything() -> Any:
    """The function whose result may be anything."""


_UNTYPED: Final = Signature.of(_anything)
