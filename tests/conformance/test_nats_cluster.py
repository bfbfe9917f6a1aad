"""The conformance suite on three clustered servers, with durability `replicated`: three copies of everything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from nats_harness import NatsHarness

from naq.testing.broker import cluster
from naq.testing.conformance import *  # noqa: F403 - the suite is what its package exports

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def harness() -> Iterator[NatsHarness]:
    with cluster() as nodes:
        yield NatsHarness(nodes.url, durability="replicated")
