"""The broker of a ``naq dev`` that runs in the working directory: programs beside it need not be told where it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = ".naq"
#: Holds who runs; locked by them for as long as they do, so that what a killed one has left counts for nothing.
FILE: Final = "dev.lock"
SOURCE: Final = "naq dev"


class Running(NamedTuple):
    """A ``naq dev``; `url` is empty as long as its broker starts, `server` as long as it has none."""

    pid: int
    app: str
    url: str
    server: str


def running_here() -> Running | None:
    """The ``naq dev`` that the same user runs in the working directory, if there is one.

    Only there, not in the folders above, which others may write to. Takes some 10 µs where there is none.
    """
    path = os.path.join(FOLDER, FILE)  # noqa: PTH118  no pathlib: every app that is made comes by here
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        import fcntl

        if os.fstat(fd).st_uid != os.getuid():
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return read_holder(Path(path))
        return None
    except (ImportError, OSError):  # no locks on this system, or in this file system
        return None
    finally:
        os.close(fd)


def read_holder(path: Path) -> Running | None:
    """What is written in `path`; None if it is not (or not yet) what it should be."""
    import json  # only where somebody runs it

    try:
        said: object = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    match said:
        case {"pid": int(pid), "app": str(app), "url": str(url), "server": str(server)}:
            return Running(pid, app, url, server)
        case _:
            return None


def settings_of_running() -> tuple[str, dict[str, object]]:
    """As a source of settings, below all the others."""
    found = running_here()
    return SOURCE, {"broker_url": found.url} if found is not None and found.url else {}
