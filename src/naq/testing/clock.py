"""A clock that a test sets."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Final, Self

from naq import clock
from naq.exceptions import ConfigurationError

_START: Final = 1_800_000_000.0  # UNIX seconds; any moment will do, as long as it is always the same
_TURNS: Final = 5  # of the event loop: enough for a sleeper to wake, act, and wake the next
_active: Final[list[FakeClock]] = []


class FakeClock:
    """Stands still, or goes on with real time, until it is told to do more; sleepers of the memory backend wake then.

    ::

        with FakeClock() as time:
            await task.options(delay=3600).enqueue()
            time.advance(3600)

    Replaces `naq.clock` for the whole process while the block runs. asyncio's own timers go on by real time.
    """

    def __init__(self, start: float | datetime | None = _START, *, ticking: bool = False) -> None:
        """`start`: UNIX seconds, or a datetime (a naive one is UTC); None: the real time. `ticking`: time passes."""
        real = start is None
        self._now = time.time() if start is None else _timestamp(start)
        self._monotonic = time.monotonic() if real else 0.0
        self._since: float | None = time.monotonic() if ticking else None
        self._installed: AbstractContextManager[None] | None = None

    def __enter__(self) -> Self:
        self._installed = clock.use(
            now=lambda: self._now + self._passed(), monotonic=lambda: self._monotonic + self._passed()
        )
        self._installed.__enter__()
        _active.append(self)
        return self

    @staticmethod
    def installed() -> FakeClock | None:
        """The one whose block this is in, or None."""
        return _active[-1] if _active else None

    @property
    def is_installed(self) -> bool:
        """Whether its block runs."""
        return self._installed is not None

    def _passed(self) -> float:
        return 0.0 if self._since is None else time.monotonic() - self._since

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._installed is not None:
            _active.remove(self)
            self._installed.__exit__(kind, error, trace)
            self._installed = None

    @property
    def now(self) -> datetime:
        """The time of day that it shows."""
        return clock.as_datetime(self._now + self._passed())

    def freeze(self) -> None:
        """Stand still from here on."""
        passed = self._passed()
        self._since = None
        self._now += passed
        self._monotonic += passed

    def tick(self) -> None:
        """Go on with real time from here on."""
        if self._since is None:
            self._since = time.monotonic()
            clock.step()

    def travel(self, to: datetime | float) -> None:
        """Let the time until `to` (UNIX seconds, or a datetime; a naive one is UTC) pass at once; see `advance`.

        Raises:
            ConfigurationError: it lies behind; `jump` sets a clock back.
        """
        self.advance(_timestamp(to) - self._now - self._passed())

    def advance(self, seconds: float | timedelta) -> None:
        """Let `seconds` pass at once, on both clocks; callable from any thread.

        Raises:
            ConfigurationError: less than none; `jump` sets a clock back.
        """
        seconds = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
        if seconds < 0:
            raise ConfigurationError(
                f"time cannot pass backwards, by {seconds:g} s; clock.jump(...) sets the time of day back"
            )
        self._monotonic += seconds
        self._now += seconds
        clock.step()

    def jump(self, seconds: float) -> None:
        """Set the time of day by `seconds`, backwards too, as an administrator or NTP may; nothing else passes."""
        self._now += seconds
        clock.step()

    async def pass_time(self, seconds: float | timedelta) -> None:
        """As `advance`, and let those who woke run."""
        self.advance(seconds)
        for _ in range(_TURNS):
            await asyncio.sleep(0)


def _timestamp(when: float | datetime) -> float:
    return clock.as_timestamp(when) if isinstance(when, datetime) else when
