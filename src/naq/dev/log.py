"""What the tree's programs print: on our terminal, and in a file of the folder for whoever joins."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from naq.dev.tree import first

#: Name of the file in the folder `naq.config.running.FOLDER`.
FILE: Final = "dev.log"
#: Bytes after which the file begins anew: a look at what goes on, and no archive.
MOST: Final = 4 * 1024 * 1024
_READ: Final = 65536
#: Seconds in which what was printed last is copied. Something that a task has started may hold the pipe open for ever.
_LAST_WORDS: Final = 0.5


class DevLog:
    """Copies what is written to `output` to standard error and to `path`. A service of the tree.

    A thread does it, so that a terminal that is stopped (Ctrl-S) stops those who print, and not whoever watches them.

    Attributes:
        output: an open file for the output of programs.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reading, self.output = os.pipe()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        self._thread = threading.Thread(target=self._copy, name="naq-dev-log", daemon=True)

    async def start(self) -> None:
        """Begin."""
        self._thread.start()

    def say(self, text: str) -> None:
        """A line of our own."""
        with suppress(OSError):  # nobody is left to be told
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
        self._keep(f"{text}\n".encode())

    async def stop(self) -> None:
        """End, when all has been copied that programs said before they ended."""
        os.close(self.output)
        await first(asyncio.to_thread(self._thread.join, _LAST_WORDS))

    def hurry(self, asked: int) -> None:
        """It is never waited for."""

    def _copy(self) -> None:
        while data := os.read(self._reading, _READ):
            with suppress(OSError):  # nobody is left to be told
                rest = data
                while rest := rest[os.write(2, rest) :]:
                    pass
            self._keep(data)

    def _keep(self, data: bytes) -> None:
        with suppress(OSError):  # a full disk: the terminal has it
            if os.fstat(self._file).st_size > MOST:
                os.ftruncate(self._file, 0)
            os.write(self._file, data)


class Tail:
    """What comes into the file `path`, from the last `lines` lines on."""

    def __init__(self, path: Path, lines: int) -> None:
        self._fd = os.open(path, os.O_RDONLY)
        self._at = max(os.fstat(self._fd).st_size - _READ, 0)
        self._first = lines

    def read(self) -> bytes:
        """What has come since the last time; b"" where nothing has."""
        size = os.fstat(self._fd).st_size
        if size < self._at:  # it began anew
            self._at = 0
        data = os.pread(self._fd, size - self._at, self._at)
        self._at += len(data)
        if self._first:
            data, self._first = b"".join(data.splitlines(keepends=True)[-self._first :]), 0
        return data

    def close(self) -> None:
        """Read no more."""
        os.close(self._fd)
