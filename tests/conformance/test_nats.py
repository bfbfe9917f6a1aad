"""The conformance suite on one NATS server, with durability `standard`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from naq.testing.broker import bundled_server
from naq.testing.conformance import *  # noqa: F403 - the suite is what its package exports
from tests.conformance.nats_harness import NatsHarness


@pytest.fixture(scope="module")
def harness() -> Iterator[NatsHarness]:
    with bundled_server() as server:
        yield NatsHarness(server.url)
