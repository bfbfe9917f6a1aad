"""What the tests of limits share: when jobs ran, and how many at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

from naq import Naq
from naq.worker import Worker

DEADLINE = 30.0  # seconds any single wait of a test may take; reached only by a failure
_numbers = count(1)


def most_in_a_window(times: Sequence[float], seconds: float) -> int:
    """The largest number of `times` in any window of `seconds`."""
    return max((sum(at <= each < at + seconds for each in times) for at in times), default=0)


def memory_url() -> str:
    """A store that no other test sees."""
    return f"memory:limits-{next(_numbers)}"


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


@asynccontextmanager
async def fleet(*apps: Naq, concurrency: int = 20) -> AsyncGenerator[list[Worker]]:
    """A worker for each of `apps`, stopped well afterwards."""
    workers = [Worker(app, concurrency=concurrency) for app in apps]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*(worker.wait_ready() for worker in workers))
        yield workers
    finally:
        for worker in workers:
            worker.stop()
        async with asyncio.timeout(DEADLINE), AsyncExitStack() as closing:
            for app in apps:
                closing.push_async_callback(app.close)
            await asyncio.gather(*running)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until `holds`."""
    end = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < end, f"it did not come true in {DEADLINE:g} s"
        await asyncio.sleep(0.01)


async def until_so(holds: Callable[[], Awaitable[bool]]) -> None:
    """As `until`, for what has to be asked for."""
    async with asyncio.timeout(DEADLINE):
        while not await holds():  # noqa: ASYNC110 - stores have no event for what tests ask them
            await asyncio.sleep(0.02)
