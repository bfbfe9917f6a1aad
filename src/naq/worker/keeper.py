"""Keeping leases: extends every claim in flight long before it lapses, from a thread that no task can block."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Final

from naq import clock
from naq.backends.base import Claim, Extended, JobQueue
from naq.exceptions import NaqConnectionError
from naq.worker.flights import Flight, Flights, Verdict
from naq.worker.service import Service

log = logging.getLogger("naq.worker")

#: Rounds in a lease: one may fail, and the next still comes in time.
ROUNDS: Final = 3

Interrupt = Callable[[Flight, Verdict], None]


class Keeper(Service):
    """Extends leases, moves the deadlines that settling obeys, and tells the main loop who is cancelled or lost.

    Runs on a loop of its own; `interrupt` is called on `main`, the loop the claims run on.
    """

    def __init__(
        self, queue: JobQueue, flights: Flights, interrupt: Interrupt, *, main: asyncio.AbstractEventLoop, lease: float
    ) -> None:
        super().__init__("lease keeper", interval=lease / ROUNDS)
        self._queue = queue
        self._flights = flights
        self._interrupt = interrupt
        self._main = main
        self._lease = lease

    async def run_once(self) -> int:
        """Extend what is in flight; how many claims that was."""
        asked_at = clock.monotonic()
        held: dict[str, Flight] = {}
        for flight in self._flights.snapshot():
            if asked_at >= flight.deadline:
                self._tell([flight], Verdict.LOST)
            # A claim younger than half an interval has the whole of its lease but that before the next round.
            elif asked_at - flight.claim.claimed_at >= self.interval / 2:
                held[flight.claim.job.id] = flight
        if not held:
            return 0
        extended = await self._extend([flight.claim for flight in held.values()])
        for job_id, deadline in extended.deadlines.items():
            # Never back to life: what lapsed while we asked may be running elsewhere already.
            if (flight := held.get(job_id)) is not None and clock.monotonic() < flight.deadline:
                self._flights.extend(flight, deadline)
        self._tell_ids(held, extended.lost, Verdict.LOST)
        self._tell_ids(held, extended.cancelled, Verdict.CANCEL)
        return len(held)

    async def _extend(self, claims: list[Claim]) -> Extended:
        try:
            async with asyncio.timeout(self.interval):
                return await self._queue.extend(claims, lease=self._lease)
        except TimeoutError as error:
            raise NaqConnectionError(f"{len(claims)} leases could not be extended in {self.interval:g} s") from error

    def _tell_ids(self, held: dict[str, Flight], ids: Collection[str], verdict: Verdict) -> None:
        if ids:
            self._tell([held[job_id] for job_id in ids if job_id in held], verdict)

    def _tell(self, flights: list[Flight], verdict: Verdict) -> None:
        for flight in flights:
            try:
                self._main.call_soon_threadsafe(self._judge, flight, verdict)
            except RuntimeError:  # the main loop is closed: the worker has gone, and its claims with it
                return

    def _judge(self, flight: Flight, verdict: Verdict) -> None:
        """On the main loop: `flight` may have been settled since."""
        if self._flights.get(flight.claim.job.id) is flight:
            self._interrupt(flight, verdict)
