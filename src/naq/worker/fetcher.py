"""Free slots -> claims -> executor."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from naq.backends.base import Claim, JobQueue
from naq.worker.flights import Flights
from naq.worker.service import Service

#: Seconds a fetch waits for the first job before it is asked anew. Waiting costs nothing; asking anew is a safety net.
FETCH_WAIT: Final = 5.0
#: Claims whose outcome the backend has not confirmed. More would only pile up memory behind a slow backend.
MAX_UNSETTLED: Final = 1000


class Fetcher(Service):
    """Claims as many jobs as there are free slots, and hands them to `start`; waits for `room` before.

    Stopping cancels a fetch under way, which loses nothing: `JobQueue.fetch` hands back what it had claimed.
    """

    def __init__(
        self,
        queue: JobQueue,
        flights: Flights,
        start: Callable[[Claim], None],
        *,
        queues: Sequence[str],
        lease: float,
        room: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__("fetch", interval=0.0)
        self._queue = queue
        self._flights = flights
        self._start = start
        self._queues = queues
        self._lease = lease
        self._room = room
        self._is_fetching = self._is_cut = False

    def resize(self, slots: int) -> None:
        """Run so many jobs at once from now on. Where those are fewer, a fetch under way is cut, and asks for less."""
        fewer, self._flights.slots = slots < self._flights.slots, slots
        self._flights.room.set()
        if fewer and self._is_fetching and not self._is_cut and self._task is not None:
            self._is_cut = True
            self._task.cancel()

    async def run_once(self) -> int:
        """Wait for a free slot, then for jobs; how many were claimed."""
        await self._room()
        while (free := self._free()) <= 0:
            self._flights.room.clear()
            await self._flights.room.wait()
        self._is_fetching = True
        try:
            claims = await self._queue.fetch(self._queues, limit=free, lease=self._lease, wait=FETCH_WAIT)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._is_cut or task is None or task.uncancel():
                raise  # it is to end, whatever else
            return 0
        finally:
            self._is_fetching = self._is_cut = False
        for claim in claims:
            self._start(claim)
        if claims:
            self._flights.tally.claimed += len(claims)
        else:
            self._flights.tally.idle += 1
        return len(claims)

    def _free(self) -> int:
        flights = self._flights
        return min(flights.slots, MAX_UNSETTLED - len(flights) + flights.running) - flights.running
