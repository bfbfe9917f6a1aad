"""The first file of a project."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from naq.dev.project import SHAPES, first_tasks
from naq.exceptions import ConfigurationError

FILE: Final = "tasks.py"
APP: Final = SHAPES["minimal"].app
#: The first job, as words of a command line.
FIRST_JOB: Final = SHAPES["minimal"].job


def write_tasks(folder: Path) -> Path:
    """Write tasks.py into `folder`; the file. It names no broker: here that of `naq dev` is meant.

    Raises:
        ConfigurationError: it is there already.
    """
    file = folder / FILE
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(first_tasks())
    except FileExistsError:
        raise ConfigurationError(
            f"{file} is there already, and no app is made in it (app = Naq()): write one there, or say where one is: "
            "naq dev MODULE:APP"
        ) from None
    return file
