"""Telling the backend how a claim ended: as long as the lease holds, and never after."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec.structs import replace

from naq import clock
from naq.backends.base import JobQueue, Settled
from naq.context import Context
from naq.exceptions import LeaseLost, NaqBackpressureError, NaqConnectionError, NaqException, PayloadTooLarge
from naq.job import AttemptError, JobState
from naq.worker.flights import Flight, Flights
from naq.worker.outcome import Discarded, Outcome, Succeeded
from naq.worker.throttle import Throttle

log = logging.getLogger("naq.worker")

#: Seconds between two tries to settle while the backend is away or full: the first, and at most.
RETRY_FIRST, RETRY_MOST = 0.1, 2.0
_KEPT: Final = 200  # characters of an error's message kept where even that much is hard to store


class Settler:
    """Settles claims against `queue`. A claim whose lease has lapsed is dropped: the job is somebody else's by now."""

    def __init__(
        self,
        queue: JobQueue,
        flights: Flights,
        veil: Callable[[Flight, Outcome], Outcome] | None,
        last_notes: Callable[[Context], Awaitable[None]] | None = None,
    ) -> None:
        self._queue = queue
        self._last_notes = last_notes  # writes what the job's code has reported, where it has
        self._veil = veil  # where outcomes are signed or encrypted
        self._flights = flights
        self._throttle = Throttle()

    async def settle(self, flight: Flight, outcome: Outcome) -> tuple[Outcome, Settled] | None:
        """Tell the backend that `flight` ended in `outcome`, again and again until it knows.

        What was told, which is a failure where a result was too large to store, and how that ended. None: the claim
        was lost first, and nothing was told.
        """
        claim, context = flight.claim, flight.context
        if context is not None and context.has_notes and self._last_notes is not None:
            await self._last_notes(context)
        pause = RETRY_FIRST
        while not self._flights.lapsed(flight):
            try:
                told = outcome if self._veil is None else self._veil(flight, outcome)
                answer = await told.settle(self._queue, claim)
            except (NaqConnectionError, NaqBackpressureError) as error:
                if self._throttle.ready(type(error).__name__):
                    log.warning("the backend does not take outcomes: %s; trying again while the leases hold", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_MOST)
            except PayloadTooLarge as error:
                smaller = _smaller(outcome, error)
                if smaller is None:
                    log.exception("job %s of %s cannot be settled", claim.job.id, flight.name)
                    return None
                outcome = smaller
            except LeaseLost:
                break
            except NaqException:
                log.exception("job %s of %s cannot be settled; it will run again", claim.job.id, flight.name)
                return None
            else:
                return outcome, answer if isinstance(answer, Settled) else Settled.DONE
        self._say_lost(flight, outcome)
        return None

    def _say_lost(self, flight: Flight, outcome: Outcome) -> None:
        self._flights.tally.lost += 1
        if self._throttle.ready("lost") or log.isEnabledFor(logging.DEBUG):
            job = flight.claim.job
            log.warning(
                "LeaseLost: the claim on job %s of %s lapsed %.1f s ago, so its outcome (%s) is dropped; "
                "another worker runs it",
                job.id,
                flight.name or "an unread task",
                max(0.0, clock.monotonic() - flight.deadline),
                outcome,
            )


def _smaller(outcome: Outcome, error: PayloadTooLarge) -> Outcome | None:
    """What can still be said of a job whose record the backend found too large, or None."""
    if isinstance(outcome, Succeeded | Discarded) and outcome.record.arguments is not None:
        return replace(outcome, record=replace(outcome.record, arguments=None))
    if isinstance(outcome, Succeeded):
        reason = AttemptError(
            type=f"{PayloadTooLarge.__module__}.{PayloadTooLarge.__qualname__}",
            message=str(error),
            attempt=outcome.record.attempt,
            at=clock.now(),
        )
        return Discarded(replace(outcome.record, state=JobState.FAILED, result=None, errors=[reason]))
    if isinstance(outcome, Discarded) and outcome.record.errors:
        last = outcome.record.errors[-1]
        bare = AttemptError(type=last.type, message=last.message[:_KEPT], attempt=last.attempt, at=last.at)
        if outcome.record.errors != [bare]:
            return Discarded(replace(outcome.record, errors=[bare], tags={}))
    return None
