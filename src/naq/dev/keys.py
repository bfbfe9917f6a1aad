"""Single keys from a terminal, while everything else goes on."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self


def has_keys() -> bool:
    """Whether somebody sits at a terminal whose keys are ours: not where this runs in the background of a shell."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    with suppress(OSError):
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    return False


class Keys:
    """Within the with block `on_key` is called with each key; the terminal is afterwards what it was before."""

    def __init__(self, on_key: Callable[[str], None]) -> None:
        self._on_key = on_key
        self._fd = sys.stdin.fileno()
        self._before: list[Any] = []
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        import termios

        self._before = termios.tcgetattr(self._fd)
        self._listen()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pause()

    async def read_line(self, prompt: str) -> str:
        """A line that is typed after `prompt`, edited as usual; "" at its end (Ctrl-D)."""
        self._pause()
        line: asyncio.Future[str] = self._loop.create_future()

        def arrived() -> None:
            if not line.done():
                line.set_result(os.read(self._fd, 4096).decode(errors="replace"))

        sys.stderr.write(prompt)
        sys.stderr.flush()
        self._loop.add_reader(self._fd, arrived)
        try:
            return (await line).strip()
        finally:
            self._loop.remove_reader(self._fd)
            self._listen()

    def _listen(self) -> None:
        import termios
        import tty

        tty.setcbreak(self._fd, termios.TCSADRAIN)  # what was typed already stays
        self._loop.add_reader(self._fd, self._arrived)

    def _pause(self) -> None:
        import termios

        self._loop.remove_reader(self._fd)
        with suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def _arrived(self) -> None:
        typed = os.read(self._fd, 64)
        if not typed:  # the terminal is gone; its end comes as a signal
            self._loop.remove_reader(self._fd)
        for key in typed.decode(errors="replace"):
            self._on_key(key)
