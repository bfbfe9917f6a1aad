"""The suite's harness on the memory backend: with time that a test sets, or with real time and short leases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from naq.backends.base import Backend
from naq.backends.memory import connect
from naq.config import Config
from naq.testing.clock import FakeClock

CONFIG = Config(broker_url="memory:conformance")


class SetTime:
    """Time passes when the test says so, and costs none."""

    lease = 1.0
    slack = 0.1

    def __init__(self, time: FakeClock, make: Callable[[Config], Backend] = connect) -> None:
        self._time = time
        self._make = make

    def connect(self, lease: float) -> Backend:
        return self._make(CONFIG)

    async def advance(self, seconds: float) -> None:
        await self._time.pass_time(seconds)


class RealTime:
    """Time as it is: timers, threads and event loops that nobody steers."""

    lease = 0.3
    slack = 0.5

    def connect(self, lease: float) -> Backend:
        return connect(CONFIG)

    async def advance(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
