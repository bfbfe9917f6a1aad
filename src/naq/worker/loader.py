"""From ``module:app`` on a command line to the `Naq` object it names."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from naq.config import hint
from naq.exceptions import ConfigurationError

if TYPE_CHECKING:
    from naq.app import Naq

_HOW: Final = "name an app as 'module:attribute', such as 'tasks:app', or as 'module' if it holds one app"


def load_app(target: str) -> Naq:
    """The app that `target` names: ``module:attribute``, ``module``, or the same with a file such as ``tasks.py``.

    The working directory is put on `sys.path`, as ``python -m`` does. Importing runs the module.

    Raises:
        ConfigurationError: nothing there is an app; says what was looked for, where, and what is near.
    """
    where, colon, attribute = target.partition(":")
    if not where or (colon and not attribute):
        raise ConfigurationError(f"{target!r} names no app: {_HOW}")
    module = import_named(_as_module(where))
    return _pick(module, attribute) if colon else _only_app(module)


def import_named(name: str) -> ModuleType:
    """Import module `name`, from the working directory too.

    Raises:
        ConfigurationError: there is none, or its own code failed; says which, and where.
    """
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigurationError(
                f"there is no module {error.name!r}, neither installed nor in {here}; "
                f"{hint(name, _modules_here())}. {_HOW[0].upper()}{_HOW[1:]}"
            ) from error
        raise _broken(name, error) from error
    except ConfigurationError as error:
        raise ConfigurationError(f"importing {name!r}{_place(error)}: {error}") from error
    except Exception as error:
        raise _broken(name, error) from error
    except SystemExit as error:
        raise ConfigurationError(
            f"importing {name!r} ended with SystemExit({error.code}){_place(error)}: "
            "a script needs `if __name__ == '__main__':` before what it does when run"
        ) from error


def _as_module(where: str) -> str:
    """The module's name; `where` may also be the path of a file."""
    path = Path(where)
    if not (where.endswith(".py") or os.sep in where):
        return where
    if not path.is_file():
        near = hint(path.name, (each.name for each in path.parent.glob("*.py")))
        raise ConfigurationError(f"there is no file {where!r} (looked in {path.parent.resolve()}); {near}. {_HOW}")
    resolved = path.resolve()
    here = Path.cwd().resolve()
    if resolved.is_relative_to(here):
        return ".".join(resolved.relative_to(here).with_suffix("").parts)
    sys.path.insert(0, str(resolved.parent))
    return resolved.stem


def _pick(module: ModuleType, attribute: str) -> Naq:
    from naq.app import Naq

    found: object = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            apps = _apps(module)
            near = hint(attribute, apps) if apps else f"it holds no app either: app = Naq({module.__name__!r})"
            raise ConfigurationError(f"module {module.__name__!r} has no {attribute!r}; {near}")
        found = getattr(found, part)
    if not isinstance(found, Naq):
        kind, near = type(found).__name__, hint(attribute, _apps(module))
        raise ConfigurationError(f"'{module.__name__}:{attribute}' is a {kind}, not a Naq app; {near}")
    return found


def _only_app(module: ModuleType) -> Naq:
    apps = _apps(module)
    if not apps:
        raise ConfigurationError(
            f"module {module.__name__!r} ({getattr(module, '__file__', 'built in')}) holds no app; "
            f"make one with app = Naq({module.__name__.rpartition('.')[2]!r})"
        )
    if len({id(app) for app in apps.values()}) > 1:
        choices = " or ".join(f"{module.__name__}:{name}" for name in apps)
        raise ConfigurationError(f"module {module.__name__!r} holds several apps; say which: {choices}")
    return next(iter(apps.values()))


def _apps(module: ModuleType) -> dict[str, Naq]:
    from naq.app import Naq

    return {name: value for name, value in vars(module).items() if isinstance(value, Naq)}


def _modules_here() -> Iterable[str]:
    here = Path.cwd()
    yield from (path.stem for path in here.glob("*.py"))
    yield from (path.parent.name for path in here.glob("*/__init__.py"))


def _broken(name: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(f"importing {name!r} failed{_place(error)}: {type(error).__name__}: {error}")


def _place(error: BaseException) -> str:
    """Where in the user's own code it happened: the last frame that is not the import machinery's or naq's."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}, line {error.lineno})"
    ours = str(Path(__file__).parents[1])
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((ours, "<frozen")) and "importlib" not in frame.filename
    ]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
