"""How far a long thing is, on stderr, where that is a terminal; otherwise nothing."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Final, Self

from naq import clock

_EVERY: Final = 0.1  # seconds between two lines; more often is only flicker


class Progress:
    """A line that counts, gone when the block ends.

    ::

    with Progress("enqueueing", total=1000) as progress:
        progress.add(100)
    """

    def __init__(self, what: str, *, total: int | None = None) -> None:
        self._what: Final = what
        self._total: Final = total
        self._shown = sys.stderr.isatty()
        self._count = 0
        self._begun = self._last = clock.monotonic()

    def add(self, count: int = 1) -> None:
        """So many more are done."""
        self._count += count
        now = clock.monotonic()
        if self._shown and now - self._last >= _EVERY:
            self._last = now
            of = "" if self._total is None else f"/{self._total:,}"
            rate = self._count / (now - self._begun)
            print(f"\r{self._what}  {self._count:,}{of}  {rate:,.0f}/s ", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)
