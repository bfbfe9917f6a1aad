"""Choosing one of many by typing what it contains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from naq.cli.text import plain

if TYPE_CHECKING:
    from naq.cli.keys import Keys

T = TypeVar("T")

_WAIT: Final = 3600.0  # seconds until the keyboard is asked once more; nothing moves meanwhile
_FRAME: Final = 5  # lines around the list


class Picker(Generic[T]):
    """A list to search and choose from. Pure: `press` takes keys, `lines` says what to draw.

    Attributes:
        typed: what is searched for.
        chosen: the row under the cursor.
    """

    def __init__(self, title: str, rows: Sequence[T], text: Callable[[T], str]) -> None:
        self.title = title
        self.typed = ""
        self.chosen = 0
        self._rows = rows
        self._text = text

    @property
    def fitting(self) -> list[T]:
        """The rows that contain every word that was typed."""
        words = self.typed.casefold().split()
        return [row for row in self._rows if all(word in self._text(row).casefold() for word in words)]

    def press(self, key: str, page: int) -> T | None:
        """Do what `key` stands for; the row that was chosen with Enter, else None."""
        rows = self.fitting
        moves = {"up": -1, "down": 1, "page up": -page, "page down": page}
        if key == "enter" and rows:
            return rows[min(self.chosen, len(rows) - 1)]
        if key in moves:
            self.chosen = max(0, min(self.chosen + moves[key], len(rows) - 1))
        elif key == "backspace":
            self.typed, self.chosen = self.typed[:-1], 0
        elif key == "clear":
            self.typed, self.chosen = "", 0
        elif len(key) == 1:
            self.typed, self.chosen = self.typed + key, 0
        return None

    def lines(self, height: int) -> list[tuple[str, bool]]:
        """What to draw in `height` lines; True marks the chosen row."""
        rows = self.fitting
        start = max(self.chosen - height + 1, 0)
        shown = enumerate(rows[start : start + height], start)
        return [(plain(self._text(row)), index == self.chosen) for index, row in shown]


def pick(keys: Keys, title: str, rows: Sequence[T], text: Callable[[T], str]) -> T | None:
    """The row that a person chooses; None if they leave."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    picker = Picker(title, rows, text)
    console = Console(highlight=False)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            page = max(console.size.height - _FRAME, 1)
            listed = [
                Text(line, "reverse" if chosen else "", no_wrap=True, overflow="ellipsis")
                for line, chosen in picker.lines(page)
            ]
            found = f"{len(picker.fitting)} of {len(rows)}"
            live.update(
                Group(
                    Text(title, "bold"),
                    Text(f"search: {picker.typed}▏  {found}"),
                    Text(),
                    *(listed or [Text("nothing fits", "dim")]),
                    Text("type to search  ↑↓ choose  Enter takes it  Escape leaves", "dim"),
                ),
                refresh=True,
            )
            key = keys.next(_WAIT)
            if key in {"escape", "interrupt"}:
                return None
            if key is not None and (row := picker.press(key, page)) is not None:
                return row
