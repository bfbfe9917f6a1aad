"""The first file of a project."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from naq.exceptions import ConfigurationError

FILE: Final = "tasks.py"
APP: Final = "tasks:app"
#: The first job, as words of a command line, and what it returns.
FIRST_JOB: Final = ("tasks.hello", "name=world")
#: What is written. It names no broker: in this folder that of `naq dev` is meant (naq.config.running).
TASKS: Final = """\
# tasks.py
from naq import Naq

app = Naq()


@app.task(retries=3)
async def hello(name: str) -> str:
    return f"Hello, {name}!"
"""


def write_tasks(folder: Path) -> Path:
    """Write tasks.py into `folder`; the file.

    Raises:
        ConfigurationError: it is there already.
    """
    file = folder / FILE
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(TASKS)
    except FileExistsError:
        raise ConfigurationError(
            f"{file} is there already, and no app is made in it (app = Naq()): write one there, or say where one is: "
            "naq dev MODULE:APP"
        ) from None
    return file
