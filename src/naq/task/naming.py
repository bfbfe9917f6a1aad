"""What a task is called, and which functions may be one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from naq.exceptions import ConfigurationError
from naq.names import check_task

_INTERACTIVE: Final = "__main__"


def name_task(func: Callable[..., Any], given: str | None) -> str:
    """The name `func` is registered by: `given`, else its module and qualified name.

    A worker finds a task by this name in the module it imports. So a function that no import can reach (a lambda, or
    one defined inside another function) needs a name of its own; it then exists wherever its app is built.

    Raises:
        ConfigurationError: `func` cannot be a task, or cannot be one without a name; says what to do.
    """
    if not callable(func):
        raise ConfigurationError(
            f"@app.task takes a function, not {func!r}; options are keywords: @app.task(queue=...)"
        )
    if given is not None:
        return check_task(given)
    qualified = getattr(func, "__qualname__", None)
    if qualified is None:
        raise ConfigurationError(f"{func!r} has no name of its own; give it one: @app.task(name=...)")
    if "<" in qualified:
        what = "a lambda" if qualified.endswith("<lambda>") else "defined inside another function"
        raise ConfigurationError(
            f"{qualified} is {what}, where no worker can find it by import; move it to the top of a module, "
            "or, if it is made anew wherever its app is built, name it: @app.task(name=...)"
        )
    return check_task(f"{module_name(func.__module__)}.{qualified}")


def module_name(module: str) -> str:
    """`module` as an importer knows it: a script that runs as ``__main__`` goes by its own module name.

    Raises:
        ConfigurationError: it is an interactive session, which cannot be imported.
    """
    if module != _INTERACTIVE:
        return module
    main = sys.modules[_INTERACTIVE]
    spec = getattr(main, "__spec__", None)
    if spec is not None:  # python -m package.module
        return str(spec.name)
    path = getattr(main, "__file__", None)
    if path is None or path.startswith("<"):  # "<stdin>" for a program that comes through a pipe
        raise ConfigurationError(
            "a function of an interactive session cannot be imported by a worker; "
            "put it in a module, or name it: @app.task(name=...)"
        )
    return Path(path).stem
