"""The conformance suite on three clustered servers, with durability `replicated`: three copies of everything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count

import pytest
from nats_harness import NatsHarness

from naq.testing.broker import cluster
from naq.testing.conformance import *  # noqa: F403 - the suite is what its package exports

pytestmark = pytest.mark.cluster
FEW = 20  # tests; what they leave costs little
_tests = count(1)


@pytest.fixture(scope="module")
def harness() -> Iterator[NatsHarness]:
    with cluster() as nodes:
        yield NatsHarness(nodes.url, durability="replicated")


@pytest.fixture(autouse=True)
def _cleared(harness: NatsHarness) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    """Each consumer is a group of three that keep in touch: of 800 that nobody needs any more, 0.6 of a core."""
    yield
    if next(_tests) % FEW == 0:
        asyncio.run(harness.clear())
