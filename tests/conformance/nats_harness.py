"""The suite's harness on real NATS servers: time is real, so its leases are short."""

from __future__ import annotations

import asyncio
from typing import Any

from naq.backends import from_url
from naq.backends.base import Backend
from naq.config import Config, Durability


class NatsHarness:
    """One server or cluster for all tests; each has queues, and so consumers, of its own."""

    lease = 1.0  # a consumer's ack_wait; the server keeps it to a quarter of a second or so
    slack = 2.0

    def __init__(self, url: str, *, durability: Durability = "standard") -> None:
        self._url = url
        self._durability: Durability = durability

    def connect(self, lease: float) -> Backend:
        return from_url(Config(broker_url=self._url, lease=lease, durability=self._durability))

    async def advance(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def clear(self) -> None:
        """Forget every queue, with all its jobs: for between tests."""
        backend: Any = self.connect(30.0)
        await backend.open([])
        try:
            jobs = backend.subjects.jobs
            while names := (await backend.js.call(f"CONSUMER.NAMES.{jobs}", {}))["consumers"]:
                for name in names:
                    await backend.js.call(f"CONSUMER.DELETE.{jobs}.{name}")
            await backend.js.call(f"STREAM.PURGE.{jobs}", {})
        finally:
            await backend.close()
