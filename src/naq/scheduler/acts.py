"""What is done to a schedule while everything runs: each a change of what is kept, then of the jobs in the broker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import islice, takewhile
from typing import Final

from naq import clock
from naq.codec.envelope import Envelope
from naq.config import Config
from naq.config.suggest import hint
from naq.exceptions import ConfigurationError, NaqException, ScheduleNotFoundError, SerializationError
from naq.job import JobSpec
from naq.names import check_token
from naq.scheduler.planner import KIND, Keeping, Planner
from naq.scheduler.ticks import Jobs, manual_id
from naq.schedules import moves
from naq.schedules.kept import Kept, Template, backfill_id, decode_kept, encode_kept, tick_id
from naq.schedules.moves import Step
from naq.schedules.slots import slots
from naq.schedules.timetable import Timetable

log = logging.getLogger("naq.scheduler")

MOST_FILLED: Final = 10_000  # slots of one backfill
_TRIES: Final = 20  # as the planner's


class Acts:
    """The schedules of one backend."""

    def __init__(self, backend: Keeping, config: Config) -> None:
        self.backend: Final = backend
        self.jobs: Final = Jobs(config)
        self._planner = Planner(backend, config)

    async def create(self, name: str, template: Template, table: Timetable, *, app: str = "", declared: str = "",
                     by: str = "") -> Kept | None:  # fmt: skip
        """A new schedule, its first ticks in the broker; None where there is one of this name."""
        kept = moves.first(
            check_token("schedule", name), template, table, clock.now(), app=app, declared=declared, by=by
        )
        if await self.backend.put(KIND, name, encode_kept(kept), expect=0) is None:
            return None
        return await self._planner.advance(name) or kept

    async def get(self, name: str) -> Kept:
        """The schedule `name`.

        Raises:
            ScheduleNotFoundError: there is none.
        """
        entry = await self.backend.entry(KIND, check_token("schedule", name))
        if entry is None:
            known = [found.key for found in await self.backend.entries(KIND)]
            raise ScheduleNotFoundError(
                f"there is no schedule {name!r}; {hint(name, known) if known else 'there are none'}"
            )
        return decode_kept(entry.value)

    async def all(self) -> list[Kept]:
        """Every schedule, by name; one that cannot be read is left out, and logged."""
        found: list[Kept] = []
        for entry in await self.backend.entries(KIND):
            try:
                found.append(decode_kept(entry.value))
            except SerializationError as error:
                log.warning("schedule %s: %s; it can only be deleted", entry.key, error)
        return found

    async def change(self, name: str, move: Callable[[Kept, float], Step]) -> Kept:
        """Apply `move`, then take out of the broker what it makes void, then store what follows from it."""
        for _ in range(_TRIES):
            entry = await self.backend.entry(KIND, check_token("schedule", name))
            if entry is None:
                return await self.get(name)
            kept = decode_kept(entry.value)
            step = move(kept, clock.now())
            if step.kept is kept:
                return kept
            if await self.backend.put(KIND, name, encode_kept(step.kept), expect=entry.version) is not None:
                await self._take_out(step)
                return await self._planner.advance(name) or step.kept
        raise NaqException(f"schedule {name} is changed by others all the time; try again")

    async def skip_next(self, name: str) -> float | None:
        """Leave the next slot out; which one (UNIX seconds), None where none is to come."""
        skipped: float | None = None

        def move(kept: Kept, now: float) -> Step:
            nonlocal skipped
            step, skipped = moves.skip_next(kept, now)
            return step

        await self.change(name, move)
        return skipped

    async def delete(self, name: str) -> bool:
        """Remove a schedule and what waits of it; jobs that run go on. False where there is none."""
        entry = await self.backend.entry(KIND, check_token("schedule", name))
        while entry is not None:
            if await self.backend.remove(KIND, name, expect=entry.version):
                try:
                    kept, now = decode_kept(entry.value), clock.now()
                except SerializationError:  # nobody knows which jobs were its
                    return True
                await self._take_out(Step(kept, cancel=[tick for tick in kept.ahead if tick.due > now]))
                return True
            entry = await self.backend.entry(KIND, name)
        return False

    async def run_now(self, name: str) -> str:
        """Enqueue its job once, at once, beside the slots; the job's id. Also of one that is paused."""
        kept = await self.get(name)
        job_id = manual_id(name)
        await self.backend.enqueue([self.jobs.job(kept, self.jobs.envelope(kept), job_id, clock.now(), now=True)])
        return job_id

    async def backfill(
        self, name: str, start: float, end: float, *, rate: float | None = None, dry_run: bool = False
    ) -> list[tuple[float, str]]:
        """Enqueue a job for every slot from `start` up to `end`, at most `rate` a second; the slots with their job ids.

        The same slot is filled once, however often it is asked for; slots that ran in their time run again.

        Raises:
            ConfigurationError: there are more than 10,000, or they lie in the future.
        """
        kept, now = await self.get(name), clock.now()
        if end > now:
            raise ConfigurationError("a backfill ends in the past at the latest; what is to come runs by itself")
        if rate is not None and rate <= 0:
            raise ConfigurationError(f"rate is {rate!r}; expected jobs a second, more than 0")
        coming = takewhile(lambda slot: slot.at < end, slots(kept.table, start - 0.5, name))
        found = [slot.at for slot in islice(coming, MOST_FILLED + 1)]
        if len(found) > MOST_FILLED:
            raise ConfigurationError(f"that is more than {MOST_FILLED} slots; fill a shorter time, then the next")
        filled = [(at, backfill_id(name, at)) for at in found]
        if filled and not dry_run:
            envelope = self.jobs.envelope(kept)
            await self.backend.enqueue(self._spread(kept, envelope, filled, now, rate))
        return filled

    def _spread(
        self, kept: Kept, envelope: Envelope, filled: Sequence[tuple[float, str]], now: float, rate: float | None
    ) -> list[JobSpec]:
        return [
            self.jobs.job(kept, envelope, job_id, now + (number / rate if rate else 0.0), now=not (rate and number))
            for number, (_, job_id) in enumerate(filled)
        ]

    async def _take_out(self, step: Step) -> None:
        """Cancel the jobs of ticks that are void. One that escapes is refused when it would run."""
        for tick in step.cancel:
            await self.backend.cancel(tick_id(step.kept.name, tick))
