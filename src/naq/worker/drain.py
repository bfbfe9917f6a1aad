"""Ending without losing anything: wait, interrupt, give up; each for a bounded time, or not at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Final

from naq.worker.executor import Executor
from naq.worker.flights import Flight, Flights, Phase, Verdict

log = logging.getLogger("naq.worker")

#: Seconds that interrupted jobs get to clean up, in a graceful stop and in an immediate one.
GRACE, GRACE_NOW = 5.0, 0.2
#: Seconds to tell the backend what is left to tell. Past it the leases bring the jobs back.
SETTLE: Final = 2.0


async def drain(flights: Flights, executor: Executor, now: asyncio.Event, *, timeout: float | None) -> int:
    """Let what is in flight end within `timeout` seconds (None: however long it takes), then put the rest back.

    Nothing may be claimed meanwhile. `now`, when set, ends the waiting. Returns how many coroutines do not even end
    when they are cancelled.
    """
    if len(flights) and not now.is_set():
        limit = "" if timeout is None else f"up to {timeout:g} s "
        log.info("stopping: %d jobs still run; waiting %sfor them", len(flights), limit)
    await within(flights.drained(), now, timeout)
    if len(flights):
        await _interrupt(flights, executor, now)
    return await executor.close()


async def _interrupt(flights: Flights, executor: Executor, now: asyncio.Event) -> None:
    running = _running(flights)
    if running:
        log.warning("interrupting %d jobs that have not ended; they go back to their queues", len(running))
    for flight in running:
        # The grace is kept here, for all of them at once.
        executor.interrupt(flight, Verdict.SHUTDOWN, grace=2 * GRACE)
    if not now.is_set():
        await within(flights.drained(), now, GRACE)
    if _running(flights) and now.is_set():
        await within(flights.drained(), None, GRACE_NOW)
    for flight in _running(flights):
        executor.give_up(flight)
    await within(flights.drained(), None, SETTLE)


def _running(flights: Flights) -> list[Flight]:
    return [flight for flight in flights.snapshot() if flight.phase is not Phase.ENDED]


async def within(done: Awaitable[object], now: asyncio.Event | None, timeout: float | None) -> bool:
    """Wait for `done`, at most `timeout` seconds (None: for ever) and only until `now` is set; whether it came."""
    waited = asyncio.ensure_future(done)
    others = [] if now is None else [asyncio.ensure_future(now.wait())]
    try:
        await asyncio.wait([waited, *others], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        return waited.done()
    finally:
        for future in (waited, *others):
            future.cancel()
        await asyncio.wait([waited, *others])
