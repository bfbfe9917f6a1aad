"""A clock that a test sets."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Self

from naq import clock

_START: Final = 1_800_000_000.0  # UNIX seconds; any moment will do, as long as it is always the same
_TURNS: Final = 5  # of the event loop: enough for a sleeper to wake, act, and wake the next


class FakeClock:
    """Stands still until it is told to go on; sleepers of the memory backend wake when it does.

    ::

        with FakeClock() as time:
            await task.options(delay=3600).enqueue()
            time.advance(3600)

    Replaces `naq.clock` for the whole process while the block runs. asyncio's own timers go on by real time.
    """

    def __init__(self, start: float = _START) -> None:
        """`start`: UNIX seconds."""
        self._now = start
        self._monotonic = 0.0
        self._installed: AbstractContextManager[None] | None = None

    def __enter__(self) -> Self:
        self._installed = clock.use(now=lambda: self._now, monotonic=lambda: self._monotonic)
        self._installed.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._installed is not None:
            self._installed.__exit__(kind, error, trace)
            self._installed = None

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once, on both clocks; callable from any thread."""
        self._monotonic += seconds
        self._now += seconds
        clock.step()

    def jump(self, seconds: float) -> None:
        """Set the time of day by `seconds`, backwards too, as an administrator or NTP may; nothing else passes."""
        self._now += seconds
        clock.step()

    async def pass_time(self, seconds: float) -> None:
        """As `advance`, and let those who woke run."""
        self.advance(seconds)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
