"""Keeping the next ticks of every schedule in the broker. Safe from everywhere at once: two planners store one job."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final, Protocol

from naq import clock
from naq.backends.base import Entries, Entry, JobAdmin, JobQueue
from naq.config import Config
from naq.exceptions import NaqBackpressureError, NaqConnectionError, NaqException
from naq.faults import fault
from naq.scheduler.ticks import Jobs
from naq.schedules.kept import Kept, Tick, decode_kept, encode_kept
from naq.schedules.moves import advance

log = logging.getLogger("naq.scheduler")

KIND: Final = "schedule"  # the kind of entry that a schedule is
_TRIES: Final = 20  # somebody else changed it meanwhile: so often in a row only where many do nothing else


class Keeping(JobQueue, JobAdmin, Entries, Protocol):
    """What schedules need of a backend."""


class Planner:
    """Brings schedules to the present: stores the jobs of their next ticks, then notes that it did."""

    def __init__(self, backend: Keeping, config: Config) -> None:
        self._backend = backend
        self._jobs = Jobs(config)
        self._broken: set[tuple[str, int]] = set()

    async def round(self) -> int:
        """Look at every schedule; how many jobs were stored. What is wrong with one does not keep the others.

        Raises:
            NaqConnectionError, NaqBackpressureError: the store is away, or full.
        """
        made = 0
        for entry in await self._backend.entries(KIND):
            try:
                made += (await self._advance(entry))[0]
            except (NaqConnectionError, NaqBackpressureError):
                raise
            except NaqException as error:
                if (entry.key, entry.version) not in self._broken:  # once for each change, not in each round
                    self._broken.add((entry.key, entry.version))
                    log.error("schedule %s makes no jobs: %s", entry.key, error)
        return made

    async def advance(self, name: str) -> Kept | None:
        """Bring one schedule to the present; how it stands then, None where there is none."""
        return (await self._advance(await self._backend.entry(KIND, name)))[1]

    async def _advance(self, entry: Entry | None) -> tuple[int, Kept | None]:
        """How many jobs were stored, and how the schedule stands now."""
        for _ in range(_TRIES):
            if entry is None:
                return 0, None
            kept = decode_kept(entry.value)
            step = advance(kept, clock.now())
            if step.kept is kept:
                return 0, kept
            # First the jobs, then the note: after a death in between, the next one stores the same jobs again, which
            # changes nothing. The other way round, they would be lost.
            await self._store(kept, step.store)
            fault("schedule.after_timers")
            if await self._backend.put(KIND, kept.name, encode_kept(step.kept), expect=entry.version) is not None:
                return len(step.store), step.kept
            # Changed meanwhile. What we stored of a definition that holds no more is refused when it would run.
            entry = await self._backend.entry(KIND, kept.name)
        raise NaqException(f"schedule {entry and entry.key} is changed by others all the time; it is looked at again")

    async def _store(self, kept: Kept, ticks: Sequence[Tick]) -> None:
        if not ticks:
            return
        envelope = self._jobs.envelope(kept)
        await self._backend.enqueue([self._jobs.tick(kept, envelope, tick) for tick in ticks])
        late = sum(tick.late for tick in ticks)
        if late:
            log.warning("schedule %s: %d missed run%s made up for", kept.name, late, " is" if late == 1 else "s are")
