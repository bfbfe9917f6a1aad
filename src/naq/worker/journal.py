"""What the history is told about jobs that have not ended: attempts that failed, and jobs that take a while.

One sweep for all jobs instead of a timer for each, and one write for all events of a sweep.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from naq import clock
from naq.backends.base import Event, EventLog
from naq.exceptions import NaqException
from naq.job import AttemptError
from naq.worker.flights import Flight, Flights, Phase
from naq.worker.service import Service

log = logging.getLogger("naq.worker")

#: Seconds a job must have run before its `started` event is worth a write; most have ended by then.
STARTED_AFTER: Final = 0.5
#: Seconds between two sweeps, while there are jobs and while there are none.
SWEEP, IDLE_SWEEP = 0.25, 0.5
#: Events kept while the backend is away; older ones are dropped, since records say how jobs ended in any case.
MOST: Final = 10_000


class Journal(Service):
    """Writes ``started`` and ``attempt_failed`` events. `hide` makes of an error what may be stored of it."""

    def __init__(
        self,
        log: EventLog,
        flights: Flights,
        worker: str,
        *,
        hide: Callable[[AttemptError], AttemptError] | None = None,
    ) -> None:
        super().__init__("journal", interval=SWEEP)
        self._log = log
        self._flights = flights
        self._worker = worker
        self._hide = hide
        self._pending: list[Event] = []

    def attempt_failed(self, flight: Flight, error: AttemptError, delay: float) -> None:
        """An attempt failed and another follows after `delay` seconds."""
        told = error if self._hide is None else self._hide(error)
        data = {"error": msgspec.to_builtins(told), "next_in": delay}
        self._pending.append(self._event("attempt_failed", flight, error.at, data))

    async def run_once(self) -> int:
        """Note who has been running for a while, and write what is pending; how many events that was."""
        self.interval = SWEEP if len(self._flights) else IDLE_SWEEP
        before = clock.monotonic() - STARTED_AFTER
        for flight in self._flights.snapshot():
            if flight.phase is Phase.RUNNING and not flight.announced and flight.begun_at <= before:
                flight.announced = True
                self._pending.append(self._event("started", flight, flight.started_at, {}))
        return await self.flush()

    async def flush(self) -> int:
        """Write what is pending; how many events that was."""
        if not self._pending:
            return 0
        events, self._pending = self._pending, []
        try:
            await self._log.append(events)
        except NaqException:
            self._pending = [*events, *self._pending][-MOST:]
            raise
        return len(events)

    async def last_words(self, timeout: float) -> None:
        """Write what is pending, if the backend takes it within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self.flush()
        except (NaqException, TimeoutError) as error:
            log.debug("%d events could not be written: %s", len(self._pending), error)

    def _event(self, kind: str, flight: Flight, at: float, data: Mapping[str, object]) -> Event:
        job = flight.claim.job
        told = {"task": flight.name, "run": job.run, "attempt": job.attempt, "worker": self._worker, **data}
        return Event(kind=kind, job_id=job.id, queue=job.queue, data=msgspec.json.encode(told), at=at)
