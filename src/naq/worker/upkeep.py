"""Upkeep of the backend: a duty of the leader."""

from __future__ import annotations

import logging
from typing import Final

from naq.backends.base import JobQueue
from naq.worker.service import Service

log = logging.getLogger("naq.worker")

#: Seconds between two rounds: how soon the claims of a dead worker are noticed depends on it.
EVERY: Final = 3.0


class Upkeep(Service):
    """A round of upkeep every 3 s. From two processes at once it does no harm: each act is safe from everywhere."""

    def __init__(self, backend: JobQueue) -> None:
        super().__init__("upkeep", interval=EVERY)
        self._backend = backend

    async def run_once(self) -> int:
        """One round; how many things were mended."""
        mended = await self._backend.maintain()
        total = mended.overdue + mended.repaired + mended.rescued
        if total:
            log.warning(
                "upkeep: %d overdue timers moved on, %d stuck jobs repaired, %d claims of dead workers handed back",
                mended.overdue,
                mended.repaired,
                mended.rescued,
            )
        return total
