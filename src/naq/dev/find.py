"""Which app a folder is about, without importing anything: a file that does not even parse has one, too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

#: Where to look, in this order.
FILES: Final = ("tasks.py", "app.py", "main.py")
_APP: Final = re.compile(r"^(\w+)(?:[ \t]*:[^=\n]+)?[ \t]*=[ \t]*(?:\w+\.)?Naq\(", re.MULTILINE)
_TASK: Final = re.compile(
    r"^@(\w+)\.task\b([^\n]*)\n(?:@[^\n]*\n)*(?:async[ \t]+)?def[ \t]+(\w+)\(([^()]*)", re.MULTILINE
)
_NAME: Final = re.compile(r"\bname=[\"']([^\"']+)[\"']")


def find_apps(folder: Path) -> list[str]:
    """The apps that are made in `FILES` of `folder`, as ``module:attribute``."""
    return [
        f"{Path(name).stem}:{app}"
        for name in FILES
        if (folder / name).is_file()
        for app in _APP.findall(_read(folder / name))
    ]


def first_task(folder: Path, app: str) -> str:
    """A task of `app` and its arguments, as one may be enqueued on a command line; "" where none is seen."""
    module, _, attribute = app.partition(":")
    file = folder / (module if module.endswith(".py") else f"{module.replace('.', '/')}.py")
    if not file.is_file():
        return ""
    for of, options, name, parameters in _TASK.findall(_read(file)):
        if of == (attribute or of):
            needed = [each.partition(":")[0].strip() for each in parameters.split(",") if "=" not in each]
            arguments = [f"{each}=..." for each in needed if each.isidentifier()]
            given = _NAME.search(options)
            task = given[1] if given else f"{module.removesuffix('.py').replace('/', '.')}.{name}"
            return " ".join([task, *arguments])
    return ""


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")
