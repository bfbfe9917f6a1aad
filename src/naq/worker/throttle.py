"""Saying something once in a while, however often it happens."""

from __future__ import annotations

from typing import Final

from naq import clock

_KEYS: Final = 1000  # remembered keys; names in messages come from anybody, and must not fill the memory


class Throttle:
    """Lets each key through once every `every` seconds."""

    def __init__(self, every: float = 10.0) -> None:
        self._every = every
        self._next: dict[str, float] = {}

    def ready(self, key: str) -> bool:
        """Whether `key` may be said now; if so, it was."""
        now = clock.monotonic()
        if now < self._next.get(key, 0.0):
            return False
        if len(self._next) >= _KEYS:
            self._next.clear()
        self._next[key] = now + self._every
        return True
