"""Where there is no broker: the jobs live in the memory of the one worker, and so whoever wants one must ask it.

It reads requests, each a line of words as for ``naq enqueue``, from a named pipe in the folder of ``naq dev``.
"""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Final

from naq.config.running import FOLDER

URL: Final = "memory:"
FILE: Final = "requests"


class NoBroker:
    """In place of a broker: each worker process has jobs of its own.

    Attributes:
        url: what the worker is told.
        about: what that means, in a few words.
        requests: where it reads which jobs are wanted.
    """

    url: Final = URL
    about: Final = "no broker: jobs live in the worker's memory, and are gone when it is started anew"

    def __init__(self, folder: Path) -> None:
        self.requests = folder / FOLDER / FILE

    async def start(self) -> None:
        """Make the pipe."""
        with suppress(FileNotFoundError):
            self.requests.unlink()
        os.mkfifo(self.requests, 0o600)

    async def stop(self) -> None:
        """Remove it."""
        with suppress(FileNotFoundError):
            self.requests.unlink()

    def hurry(self, asked: int) -> None:
        """It is never waited for."""

    def ask(self, words: list[str]) -> bool:
        """Have the worker enqueue a job; whether there is one that reads."""
        try:
            fd = os.open(self.requests, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            os.write(fd, f"{shlex.join(words)}\n".encode())
        except OSError:  # it has gone, or so much waits that there is no room for more
            return False
        finally:
            os.close(fd)
        return True
