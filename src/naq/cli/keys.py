"""Keys that a person presses, one by one, while something is drawn."""

from __future__ import annotations

import os
import select
import sys
from types import TracebackType
from typing import Any, Final, Self

from naq.cli.errors import UsageError

_NAMES: Final = {
    b"\x1b[A": "up", b"\x1b[B": "down", b"\x1bOA": "up", b"\x1bOB": "down", b"\x1b[5~": "page up",
    b"\x1b[6~": "page down", b"\r": "enter", b"\n": "enter", b"\x7f": "backspace", b"\x08": "backspace",
    b"\t": "tab", b"\x1b": "escape", b"\x03": "interrupt", b"\x04": "interrupt", b"\x15": "clear",
}  # fmt: skip
#: Seconds that the rest of an escape sequence may take; a person's Escape comes alone.
_REST: Final = 0.05


class Keys:
    """The keyboard, while the block lasts: nothing is echoed, and no Enter is needed.

    Raises:
        UsageError: there is no terminal; `instead` says what to do.
    """

    def __init__(self, *, instead: str) -> None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
            raise UsageError(f"this needs a terminal; {instead}")
        self._fd = sys.stdin.fileno()
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        import termios
        import tty

        self._before = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd, termios.TCSANOW)  # what was typed ahead counts
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import termios

        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def next(self, timeout: float) -> str | None:
        """The next key within `timeout` seconds: its name, or the text it stands for; None if there was none.

        A terminal that has gone says ``interrupt``.
        """
        if not select.select([self._fd], [], [], timeout)[0]:
            return None
        data = os.read(self._fd, 1)
        if not data:
            return "interrupt"
        while data[:1] == b"\x1b" and len(data) < 8 and select.select([self._fd], [], [], _REST)[0]:
            data += os.read(self._fd, 1)
            if data in _NAMES or (len(data) > 2 and data[-1:].isalpha()):
                break
        while data[0] >= 0xC0 and len(data) < 4 and not _is_text(data):
            data += os.read(self._fd, 1)
        if data in _NAMES:
            return _NAMES[data]
        text = data.decode(errors="replace")
        return text if text.isprintable() else ""


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
