"""The memory backend against the specification, with time that a test sets, and with all signals dropped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from naq.backends.base import Backend
from naq.backends.memory import connect, forget
from naq.config import Config
from naq.testing.clock import FakeClock
from naq.testing.conformance import *  # noqa: F403
from naq.testing.conformance import Deaf, Harness


class MemoryHarness:
    """One store a test; time passes when the test says so."""

    lease = 1.0
    slack = 0.1

    def __init__(self, time: FakeClock, config: Config) -> None:
        self._time = time
        self._config = config

    def connect(self, lease: float) -> Backend:
        return connect(self._config)

    async def advance(self, seconds: float) -> None:
        await self._time.pass_time(seconds)


@pytest.fixture(params=[False, True], ids=["hearing", "deaf"])
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    config = Config(broker_url="memory:conformance")
    with FakeClock() as time:
        plain = MemoryHarness(time, config)
        yield Deaf(plain) if request.param else plain
    forget(config)
