"""The leader's duty: upkeep of the backend, by one worker of the fleet at a time."""

from __future__ import annotations

import logging
from typing import Final, Protocol

from naq import clock
from naq.backends.base import JobQueue, Maintained, Registry
from naq.exceptions import NaqException
from naq.worker.service import Service

log = logging.getLogger("naq.worker")

LEADERSHIP: Final = "scheduler"
#: Seconds a leadership lasts, and between two renewals (RELIABILITY.md 5.4).
LEASE, RENEW = 10.0, 3.0


class Upkept(JobQueue, Registry, Protocol):
    """What upkeep needs of a backend."""


class Upkeep(Service):
    """Takes or renews the leadership, and does a round of upkeep while it holds it.

    Two leaders at once do no harm: each act of upkeep is safe from everywhere.

    Attributes:
        leads_until: monotonic seconds until which this worker is the leader; 0 if it is not.
    """

    def __init__(self, backend: Upkept, worker: str, *, renew: float = RENEW) -> None:
        super().__init__("upkeep", interval=renew)
        self._backend = backend
        self._worker = worker
        self.leads_until = 0.0

    async def run_once(self) -> int:
        """One round; how many things were mended, 0 where another worker leads."""
        until = await self._backend.lead(LEADERSHIP, self._worker, ttl=LEASE)
        self.leads_until = until or 0.0
        if until is None or clock.monotonic() >= until:
            return 0
        mended = await self._backend.maintain()
        return self._say(mended)

    async def resign(self) -> None:
        """Let another worker lead at once."""
        if self.leads_until:
            self.leads_until = 0.0
            try:
                await self._backend.resign(LEADERSHIP, self._worker)
            except NaqException as error:  # the lease runs out by itself
                log.debug("could not resign: %s", error)

    @staticmethod
    def _say(mended: Maintained) -> int:
        total = mended.overdue + mended.repaired + mended.rescued
        if total:
            log.warning(
                "upkeep: %d overdue timers moved on, %d stuck jobs repaired, %d claims of dead workers handed back",
                mended.overdue,
                mended.repaired,
                mended.rescued,
            )
        return total
