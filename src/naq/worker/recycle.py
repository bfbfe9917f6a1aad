"""Ending a worker that has done enough or holds too much memory, so that a fresh one takes its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from naq.worker.flights import Flights
from naq.worker.processes.limits import MIB, rss
from naq.worker.service import Service

#: Seconds between two looks. Nobody needs the exact job or byte.
LOOK: Final = 0.5


class Recycle(Service):
    """Calls `retire` with the reason, once, when the worker has ended `jobs` jobs or holds `memory` MiB; 0: never."""

    def __init__(self, flights: Flights, retire: Callable[[str], None], *, jobs: int, memory: int) -> None:
        super().__init__("recycle", interval=LOOK)
        self._flights = flights
        self._retire = retire
        self._jobs = jobs
        self._memory = memory

    async def run_once(self) -> int:
        """Look; 1 if it is enough."""
        if self._jobs and self._flights.processed >= self._jobs:
            self._retire(f"{self._flights.processed} jobs done")
            return 1
        if self._memory and (held := rss()) > self._memory * MIB:
            self._retire(f"{held // MIB} MiB of memory held")
            return 1
        return 0
