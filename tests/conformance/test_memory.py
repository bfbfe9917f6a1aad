"""The memory backend against the specification: with set time, with real time, and with all signals dropped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from memory_harness import CONFIG, RealTime, SetTime

from naq.backends.memory import forget
from naq.testing.clock import FakeClock
from naq.testing.conformance import *  # noqa: F403  the suite is what its package exports
from naq.testing.conformance import Deaf, Harness


@pytest.fixture(params=["set time", "real time", "deaf"])
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    if request.param == "real time":
        yield RealTime()
    else:
        with FakeClock() as time:
            plain = SetTime(time)
            yield Deaf(plain) if request.param == "deaf" else plain
    forget(CONFIG)
