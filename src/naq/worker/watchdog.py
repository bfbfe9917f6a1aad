"""Noticing that a task blocks the event loop, and saying which: nothing else would."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from naq import clock
from naq.worker.flights import Flights
from naq.worker.service import Service

log = logging.getLogger("naq.worker")

#: Seconds the main loop may take to answer before somebody is told.
BLOCKED: Final = 1.0


class Watchdog(Service):
    """Asks the main loop for a sign of life from another thread's loop. Leases are kept meanwhile; other jobs wait."""

    def __init__(self, flights: Flights, main: asyncio.AbstractEventLoop, *, limit: float = BLOCKED) -> None:
        super().__init__("watchdog", interval=limit / 2)
        self._flights = flights
        self._main = main
        self._limit = limit
        self._asked_at: float | None = None
        self._told = False

    async def run_once(self) -> int:
        """Ask, or see whether an answer is overdue; 1 if somebody was told."""
        now = clock.monotonic()
        if self._asked_at is None:
            self._asked_at, self._told = now, False
            self._main.call_soon_threadsafe(self._answer)
        elif not self._told and now - self._asked_at >= self._limit:
            self._told = True
            self._tell(now - self._asked_at)
            return 1
        return 0

    def _answer(self) -> None:
        self._asked_at = None

    def _tell(self, seconds: float) -> None:
        running = asyncio.current_task(self._main)
        flight = None if running is None else self._flights.get(running.get_name())
        who = f"task {flight.name} (job {flight.claim.job.id})" if flight is not None else "something"
        log.warning(
            "%s has blocked the event loop for %.1f s: nothing else runs meanwhile. Write the task as a plain function "
            "(def), which runs in a thread, or use asyncio.to_thread for the part that takes long",
            who,
            seconds,
        )
