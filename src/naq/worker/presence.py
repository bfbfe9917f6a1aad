"""Saying that the worker lives, and which claims it holds, so that they can be handed back at once if it dies."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Literal

from naq import clock
from naq._version import __version__
from naq.backends.base import Registry, WorkerInfo
from naq.worker.flights import Flights
from naq.worker.service import Service

State = Literal["starting", "running", "stopping"]


class Presence(Service):
    """Registers the worker, and again every `interval` seconds. Not heard of for `ttl` seconds, it is taken for dead.

    Attributes:
        state: what the next word will say.
    """

    def __init__(
        self,
        registry: Registry,
        flights: Flights,
        *,
        worker: str,
        queues: Sequence[str],
        tasks: Sequence[str],
        concurrency: int,
        interval: float,
        ttl: float,
    ) -> None:
        super().__init__("presence", interval=interval)
        self._registry = registry
        self._flights = flights
        self._worker = worker
        self._queues = list(queues)
        self._tasks = list(tasks)
        self._concurrency = concurrency
        self._ttl = ttl
        self._host = socket.gethostname()
        self._started_at = clock.now()
        self.state: State = "starting"

    async def run_once(self) -> int:
        """Say it; how many claims are held."""
        held = self._flights.snapshot()
        info = WorkerInfo(
            id=self._worker,
            queues=self._queues,
            tasks=self._tasks,
            concurrency=self._concurrency,
            running=self._flights.running,
            processed=self._flights.processed,
            failed=self._flights.failed,
            host=self._host,
            pid=os.getpid(),
            version=__version__,
            started_at=self._started_at,
            seen_at=clock.now(),
            state=self.state,
            claims=[flight.claim.receipt for flight in held],
        )
        await self._registry.register(info, ttl=self._ttl)
        return len(held)

    async def leave(self) -> None:
        """Say that the worker has gone."""
        await self._registry.unregister(self._worker)
