"""What a worker says of itself at every heartbeat, beside what it is there for: looked up then, counted nowhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from naq import clock
from naq.backends.base import Running, WorkerInfo
from naq.worker.flights import Flights, Phase
from naq.worker.processes.limits import rss
from naq.worker.threads import Threads
from naq.worker.watchdog import Watchdog

#: Jobs that are named: as many as anybody looks through. A job is some 80 bytes of a heartbeat.
MOST_JOBS: Final = 50


class Facts:
    """Of one process; for any thread."""

    def __init__(
        self,
        flights: Flights,
        threads: Threads,
        watchdog: Watchdog,
        *,
        children: Callable[[], Sequence[int]],
        leads: Callable[[], Sequence[str]],
    ) -> None:
        self._flights, self._threads, self._watchdog = flights, threads, watchdog
        self._children, self._leads = children, leads
        self._cpu, self._at = time.process_time(), clock.monotonic()

    def add(self, info: WorkerInfo) -> WorkerInfo:
        """`info`, with what is so now."""
        flights, now, cpu = self._flights, clock.monotonic(), time.process_time()
        spent, passed = cpu - self._cpu, now - self._at
        self._cpu, self._at = cpu, now
        held = flights.snapshot()
        children = self._children()
        begun = [flight for flight in held if flight.phase is Phase.RUNNING][:MOST_JOBS]
        return replace(
            info,
            concurrency=flights.slots,
            running=flights.running,
            processed=flights.processed,
            failed=flights.failed,
            seen_at=clock.now(),
            claims=[flight.claim.receipt for flight in held],
            memory=rss(),
            children_memory=sum(map(rss, children)),
            cpu=round(spent / passed, 3) if passed > 0 else 0.0,
            loop_lag=round(self._watchdog.take_worst(), 3),
            threads=self._threads.alive,
            threads_busy=self._threads.busy,
            children=len(children),
            leads=list(self._leads()),
            jobs=[Running(flight.claim.job.id, flight.name, round(flight.started_at, 3)) for flight in begun],
        )
