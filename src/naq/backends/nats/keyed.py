"""Jobs that have to find their place: by a key that one job of a queue may have, or in the place of a scheduled one.

Both are settled by compare-and-set, so that of many producers one wins.
"""

from __future__ import annotations

from msgspec.structs import replace

from naq import clock
from naq.backends.base import EnqueueResult
from naq.backends.nats import messages
from naq.backends.nats.client.errors import Conflict
from naq.backends.nats.find import Find, Place, read_place
from naq.exceptions import NaqConnectionError
from naq.job import JobSpec, JobState, new_id


class Keyed(Find):
    """What `enqueue` does for `JobSpec.key` where it is taken, and for `JobSpec.replace`."""

    async def take_key(self, job: JobSpec, nonce: str, *, first_try: bool, timeout: float) -> EnqueueResult:
        """Store a job whose key stood in its way, if it is free for it after all; else the job that has it.

        A message with the key may be that of a job that has ended, and its ack is on the way; or, for the scope
        "waiting", of one that runs. `first_try`: no earlier try of ours can have been stored.
        """
        until = clock.monotonic() + timeout
        while True:
            last, holder = 0, None
            subject = self.subjects.keyed(job.queue, job.key)
            async for message in self.js.walk(self.subjects.jobs, subject):
                if message.headers.get(messages.NONCE) == nonce:
                    return EnqueueResult(job.id)
                last = message.sequence
                place = read_place(message)
                if holder is None and await self._has_key(place, job):
                    holder = place.job.id
            if holder is not None:
                return EnqueueResult(holder, duplicate=True)
            if not first_try and await self.record_of(job.id) is not None:
                return EnqueueResult(job.id)  # our first try was stored, and has run
            try:
                await self._store_at(job, last, subject, nonce, max(until - clock.monotonic(), 0.01))
            except Conflict as conflict:
                first_try = first_try and conflict.first_try
                if clock.monotonic() >= until:
                    raise NaqConnectionError(
                        f"job {job.id} was not stored within {timeout:g} s: others took its key again and again"
                    ) from conflict
            else:
                return EnqueueResult(job.id)

    async def _has_key(self, place: Place, job: JobSpec) -> bool:
        """Whether the job at `place` keeps `job` from being stored."""
        there = place.job
        known = await self.record_at(there.queue, there.id)
        if known is not None and known.run >= there.run:
            return False
        if job.scope == "active" or place.state is not JobState.QUEUED:
            return True
        return not await self.is_delivered(there, place.message.sequence)

    async def give_way(self, job: JobSpec, timeout: float) -> EnqueueResult:
        """Store a job in the place of the scheduled one of its id; see `JobSpec.replace`."""
        until, nonce = clock.monotonic() + timeout, new_id()
        filter_ = self.subjects.any_of(job.id)
        while True:
            place = await self.place(job.id)
            if place is not None and place.message.headers.get(messages.NONCE) == nonce:
                return EnqueueResult(job.id)
            # The record after the place: a job that has left the one is in the other.
            known = await self.record_of(job.id)
            if known is not None or (place is not None and place.state is not JobState.SCHEDULED):
                return EnqueueResult(job.id, duplicate=True)
            last = 0
            if place is not None:
                # In its very place, though it may be due at once: elsewhere there would be two.
                last, there = place.message.sequence, place.job
                due = job.run_at if job.run_at is not None else clock.now()
                job = replace(job, queue=there.queue, priority=there.priority, run_at=due)
            try:
                left = max(until - clock.monotonic(), 0.01)
                await self._store_at(job, last, filter_, nonce, left, timer=place is not None)
            except Conflict as conflict:
                if clock.monotonic() >= until:
                    raise NaqConnectionError(
                        f"job {job.id} was not stored within {timeout:g} s: others replaced it again and again"
                    ) from conflict
            else:
                return EnqueueResult(job.id)

    async def _store_at(
        self, job: JobSpec, last: int, subject: str, nonce: str, timeout: float, *, timer: bool = False
    ) -> None:
        """Publish `job` if the newest message on `subject` (a filter) is that of sequence `last`."""
        lines = (
            f"{messages.EXPECT}: {last}\r\n{messages.EXPECT_ON}: {subject}\r\n{messages.NONCE}: {nonce}\r\n"
            + messages.describe(job)
        )
        place, schedule = self.placed(job, clock.now(), timer=timer)
        await self.courier.publish(place.encode(), job.payload, messages.block(lines + schedule), timeout=timeout)

    def placed(self, job: JobSpec, now: float, *, timer: bool = False) -> tuple[str, str]:
        """The subject on which a new job waits, and the header lines of its timer where it waits for something."""
        subjects, key = self.subjects, job.key
        if job.blocked:
            return subjects.parked(job.queue, job.priority, job.id, key), messages.park(subjects, job)
        if job.run_at is not None and (timer or job.run_at > now):
            return subjects.timer(job.queue, job.priority, job.id, key), messages.schedule(subjects, job, job.run_at)
        return subjects.ready(job.queue, job.priority, job.id, key), ""
