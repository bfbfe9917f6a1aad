"""What a worker asks before it runs a tick: is it still wanted, and may it run beside the one before it?

Here, and not when the tick is stored, because only now is it known: the schedule may have been changed by somebody whom
a leader did not hear, and the run before may or may not have ended.
"""

from __future__ import annotations

import logging
from typing import Final

from msgspec.structs import replace

from naq import clock
from naq.backends.base import Claim
from naq.config import Config
from naq.exceptions import NaqConnectionError, NaqException, SerializationError
from naq.scheduler.planner import KIND, Keeping, Planner
from naq.scheduler.ticks import read_tick
from naq.schedules.kept import Kept, decode_kept
from naq.schedules.moves import objection

log = logging.getLogger("naq.scheduler")

HOLDER: Final = "tick"  # the kind of entry that says which job of a schedule ran last


class Gate:
    """Lets jobs of schedules pass, or says why not."""

    def __init__(self, backend: Keeping, config: Config, *, advance: bool = True) -> None:
        self._backend = backend
        self._advance = advance  # whether the one who asks may store what is due next
        self._planner = Planner(backend, config)

    async def objection(self, claim: Claim) -> str:
        """Why the claimed job must not run; "" where nothing speaks against it, as for all that are no ticks.

        Raises:
            NaqConnectionError: the store is away, so nobody knows.
        """
        found = read_tick(claim.job.headers)
        if found is None or claim.job.attempt > 1 or claim.job.run > 1:
            return ""  # what has begun goes on
        name, tick = found
        try:
            kept = await self._standing(name)
        except SerializationError:  # what is kept is nothing that we know: it says nothing against this job
            return ""
        # Handed out before: it may have begun in time, so that lateness says nothing any more.
        why = objection(kept, replace(tick, late=tick.late or claim.delivered > 1), clock.now())
        if why or kept is None or kept.table.overlap == "allow":
            return why
        return await self._take(kept, claim.job.id)

    async def _standing(self, name: str) -> Kept | None:
        """The schedule as it stands now.

        Whoever comes late may be the first to notice an outage: missed slots are made up for before it is asked whether
        this one is still to run. Where that cannot be (the store is full), the question is answered all the same.
        """
        try:
            if self._advance:
                return await self._planner.advance(name)
        except NaqConnectionError:
            raise
        except NaqException as error:
            log.debug("schedule %s could not be brought to the present: %s", name, error)
        entry = await self._backend.entry(KIND, name)
        return None if entry is None else decode_kept(entry.value)

    async def _take(self, kept: Kept, job_id: str) -> str:
        """Become the run of this schedule; why that cannot be."""
        while True:
            entry = await self._backend.entry(HOLDER, kept.name)
            if entry is not None and (holder := entry.value.decode()) != job_id:
                record = await self._backend.get(holder)
                if record is not None and not record.is_final:
                    if kept.table.overlap == "skip":
                        return f"the run before it, {holder}, had not ended"
                    await self._backend.cancel(holder)
            version = 0 if entry is None else entry.version
            if await self._backend.put(HOLDER, kept.name, job_id.encode(), expect=version) is not None:
                return ""
