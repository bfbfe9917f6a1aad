"""What the history is told about jobs that have not ended: attempts that failed, and jobs that take a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from naq import clock
from naq.backends.base import Event
from naq.job import AttemptError
from naq.worker.buffer.writer import EventWriter
from naq.worker.flights import Flight, Flights, Phase
from naq.worker.service import Service

#: Seconds a job must have run before its `started` event is worth a write; most have ended by then.
STARTED_AFTER: Final = 0.5
#: Seconds between two sweeps while there are jobs: one for all of them, not a timer each.
SWEEP: Final = 0.25
#: Seconds without any job after which to look all the same.
IDLE: Final = 3600.0


class Journal(Service):
    """Has ``started`` and ``attempt_failed`` events written. `hide` makes of an error what may be stored of it."""

    def __init__(
        self,
        events: EventWriter,
        flights: Flights,
        worker: str,
        *,
        hide: Callable[[AttemptError], AttemptError] | None = None,
    ) -> None:
        super().__init__("journal", interval=IDLE)
        self._events = events
        self._flights = flights
        self._worker = worker
        self._hide = hide

    def begins(self) -> None:
        """A job begins. Only on the worker's event loop."""
        if self.interval == IDLE:
            self.interval = SWEEP
            asyncio.get_running_loop().call_later(STARTED_AFTER, self.nudge)

    def attempt_failed(self, flight: Flight, error: AttemptError, delay: float) -> None:
        """An attempt failed and another follows after `delay` seconds."""
        told = error if self._hide is None else self._hide(error)
        data = {"error": msgspec.to_builtins(told), "next_in": delay}
        self._events.put(self._event("attempt_failed", flight, error.at, data))

    async def run_once(self) -> int:
        """Note who has been running for a while; how many jobs that was."""
        self.interval = SWEEP if len(self._flights) else IDLE
        before = clock.monotonic() - STARTED_AFTER
        begun = [
            flight
            for flight in self._flights.snapshot()
            if flight.phase is Phase.RUNNING and not flight.announced and flight.begun_at <= before
        ]
        for flight in begun:
            flight.announced = True
        self._events.put(*(self._event("started", flight, flight.started_at, {}) for flight in begun))
        return len(begun)

    def _event(self, kind: str, flight: Flight, at: float, data: Mapping[str, object]) -> Event:
        job = flight.claim.job
        told = {"task": flight.name, "run": job.run, "attempt": job.attempt, "worker": self._worker, **data}
        return Event(kind=kind, job_id=job.id, queue=job.queue, data=msgspec.json.encode(told), at=at)
