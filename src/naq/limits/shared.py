"""Changing a shared value: read, work out, put if nobody was quicker, else again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from naq.backends.base import Entry
from naq.chance import CHANCE
from naq.exceptions import NaqConnectionError

T = TypeVar("T")
TRIES: Final = 200  # a loser means that somebody won, so so many in a row are no contention but a defect
PAUSE: Final = 0.002  # seconds that losers wait at most the first time, by chance; twice as long each time after
PAUSE_MOST: Final = 0.1

Change = Callable[[bytes | None], tuple[bytes | None, float | None, T]]
"""The value that is there -> the value to put (None: leave it), seconds that it is kept, and what to return."""


class Store(Protocol):
    """What of a backend is needed."""

    async def entry(self, kind: str, key: str) -> Entry | None:
        """See `Entries.entry`."""
        ...

    async def put(
        self, kind: str, key: str, value: bytes, *, expect: int | None = None, ttl: float | None = None
    ) -> int | None:
        """See `Entries.put`."""
        ...


class Cell:
    """A shared value as it was last seen here: the first try spares the read where nobody else changed it."""

    __slots__ = ("_entry", "key", "kind")

    def __init__(self, kind: str, key: str) -> None:
        self.kind: Final = kind
        self.key: Final = key
        self._entry: tuple[bytes, int] | None = None

    async def change(self, store: Store, work: Change[T]) -> T:
        """What `work` returns once the value that it made of what is there has been put.

        Raises:
            NaqConnectionError: the store cannot be reached, or others were quicker over and over.
        """
        seen, pause = self._entry, PAUSE
        self._entry = None
        for _ in range(TRIES):
            if seen is None:
                there = await store.entry(self.kind, self.key)
                seen = (b"", 0) if there is None else (there.value, there.version)
                fresh = True
            else:
                fresh = False
            value, ttl, answer = work(seen[0] or None)
            if value is None:
                if fresh:
                    self._entry = seen if seen[1] else None
                    return answer
                seen = None  # what is not to be changed must at least be known
                continue
            version = await store.put(self.kind, self.key, value, expect=seen[1], ttl=ttl)
            if version is not None:
                self._entry = (value, version)
                return answer
            if fresh:
                await asyncio.sleep(CHANCE.uniform(0, pause))  # to get out of step
                pause = min(pause * 2, PAUSE_MOST)
            seen = None
        raise NaqConnectionError(f"{self.kind} {self.key} could not be changed: others were quicker {TRIES} times")
