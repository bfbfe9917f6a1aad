"""How far a long thing is, on stderr, where that is a terminal; otherwise nothing."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Final, Self

from naq import clock

_EVERY: Final = 0.1  # seconds between two lines; more often is only flicker
_PATIENCE: Final = 0.3  # seconds before the first: what is done by then needs no bar
_WIDEST: Final = 40  # cells of a bar
_DONE, _OPEN = "━", "─"


class Progress:
    """A line that counts, with a bar where `total` is known; gone when the block ends.

    ::

    with Progress("enqueueing", total=1000) as progress:
        progress.add(100)
    """

    def __init__(self, what: str, *, total: int | None = None) -> None:
        self._what: Final = what
        self._total: Final = total
        self._shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._count = self._failed = 0
        self._width = 0
        self._begun = clock.monotonic()
        self._next = self._begun + _PATIENCE

    def add(self, count: int = 1, *, failed: int = 0) -> None:
        """So many more are done, and so many of these not as asked."""
        self._count += count
        self._failed += failed
        now = clock.monotonic()
        if self._shown and now >= self._next:
            self._next = now + _EVERY
            self._draw(now)

    def _draw(self, now: float) -> None:
        import shutil  # with compressors that few commands need

        columns = shutil.get_terminal_size().columns - 1
        text = self.line(now, columns)[:columns]
        self._width = max(self._width, len(text))
        print(f"\r{text:{self._width}}", end="", file=sys.stderr, flush=True)

    def line(self, now: float, columns: int) -> str:
        """What stands there at `now` (monotonic seconds), in at most about `columns` characters."""
        rate = self._count / max(now - self._begun, 1e-9)
        failed = f"  {self._failed:,} not" if self._failed else ""
        if self._total is None:
            return f"{self._what}  {self._count:,}  {rate:,.0f}/s{failed}"
        left = f"  {(self._total - self._count) / rate:,.0f} s left" if rate and self._count < self._total else ""
        numbers = f"{self._count:,}/{self._total:,}  {rate:,.0f}/s{failed}{left}"
        cells = min(columns - len(self._what) - len(numbers) - 4, _WIDEST)
        if cells < 4:
            return f"{self._what}  {numbers}"
        full = cells * self._count // max(self._total, 1)
        return f"{self._what}  {_DONE * full}{_OPEN * (cells - full)}  {numbers}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._width:
            print("\r" + " " * self._width + "\r", end="", file=sys.stderr, flush=True)
