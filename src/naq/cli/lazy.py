"""Commands whose files are imported when they are asked for, and not to be listed in a help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

EVERY: Final = "*"  # among the words: all commands describe themselves, as tests want it
_words: set[str] = set()


def set_words(words: Sequence[str]) -> None:
    """Say what the command line is; before any group of commands is imported."""
    _words.clear()
    _words.update(words)


def add(app: Any, place: str, name: str, text: str) -> None:
    """Give `app` the command `name`, which is the function or app at `place`.

    Where others are listed, `text` says what it does; where it is asked for itself, its own docstring does.
    """
    asked = name in _words or EVERY in _words
    app.command(place, name=name, help=None if asked else text)
