"""What the tests of limits share: when jobs ran, and how many at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence


def most_in_a_window(times: Sequence[float], seconds: float) -> int:
    """The largest number of `times` in any window of `seconds`."""
    return max((sum(at <= each < at + seconds for each in times) for at in times), default=0)


class Runs:
    """Counts what runs at once, and when each began."""

    def __init__(self) -> None:
        self.began: list[float] = []
        self.now = self.most = self.ended = 0

    async def __call__(self, seconds: float = 0.0) -> None:
        """Take part for `seconds`."""
        self.began.append(time.time())
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.now -= 1
            self.ended += 1
