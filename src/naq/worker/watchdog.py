"""Noticing that a task blocks the event loop, and saying which and where: nothing else would."""

from __future__ import annotations

import asyncio
import logging
import sys
from types import FrameType
from typing import Final

from naq import clock
from naq.worker.flights import Flights
from naq.worker.service import Service
from naq.worker.stacks.frames import is_own

log = logging.getLogger("naq.worker")

#: Seconds the main loop may take to answer before somebody is told.
BLOCKED: Final = 1.0
#: Seconds between two questions to a loop that has no job: each wakes it.
IDLE: Final = 4.0
#: Rounds in `BLOCKED` seconds, while there are jobs or an answer is owed, and while there are none.
ROUNDS, IDLE_ROUNDS = 2, 1


class Watchdog(Service):
    """Asks the main loop for a sign of life from another thread's loop. Leases are kept meanwhile; other jobs wait.

    `thread` is the identity of the thread that `main` runs in.
    """

    def __init__(
        self, flights: Flights, main: asyncio.AbstractEventLoop, *, thread: int, limit: float = BLOCKED
    ) -> None:
        super().__init__("watchdog", interval=limit / ROUNDS)
        self._flights = flights
        self._main = main
        self._thread = thread
        self._limit = limit
        self._asked_at: float | None = None
        self._last_at = float("-inf")
        self._told = False
        self._worst = 0.0

    @property
    def lag(self) -> float:
        """Seconds that the main loop has owed an answer; 0 if it owes none. For any thread."""
        asked_at = self._asked_at
        return 0.0 if asked_at is None else max(0.0, clock.monotonic() - asked_at)

    def take_worst(self) -> float:
        """Seconds at most that an answer took since this was asked before, one that is owed included."""
        worst, self._worst = max(self._worst, self.lag), 0.0
        return worst

    async def run_once(self) -> int:
        """Ask, or see whether an answer is overdue; 1 if somebody was told."""
        now = clock.monotonic()
        if self._asked_at is None:
            if not len(self._flights) and now - self._last_at < IDLE:
                self.interval = self._limit / IDLE_ROUNDS
                return 0
            self.interval = self._limit / ROUNDS
            self._asked_at, self._told = now, False
            self._last_at = now
            self._main.call_soon_threadsafe(self._answer)
        elif not self._told and now - self._asked_at >= self._limit:
            self._told = True
            self._tell(now - self._asked_at)
            return 1
        return 0

    def _answer(self) -> None:
        self._worst = max(self._worst, self.lag)
        self._asked_at = None

    def _tell(self, seconds: float) -> None:
        running = asyncio.current_task(self._main)
        flight = None if running is None else self._flights.get(running.get_name())
        who = f"task {flight.name} (job {flight.claim.job.id})" if flight is not None else "something"
        log.warning(
            "%s has blocked the event loop for %.1f s%s: nothing else runs meanwhile. Write the task as a plain "
            "function (def), which runs in a thread, or use asyncio.to_thread for the part that takes long",
            who,
            seconds,
            place_of(sys._current_frames().get(self._thread)),  # pyright: ignore[reportPrivateUsage]
        )


def place_of(frame: FrameType | None) -> str:
    """``, in file.py line 7 (function)``: the innermost line of somebody's own code, rather than of a library.

    Where there is none, the innermost line of all; nothing where there is no frame.
    """
    found = frame
    step = frame
    while step is not None:
        if is_own(step.f_code.co_filename):
            found = step
            break
        step = step.f_back
    if found is None:
        return ""
    return f", in {found.f_code.co_filename} line {found.f_lineno} ({found.f_code.co_qualname})"
