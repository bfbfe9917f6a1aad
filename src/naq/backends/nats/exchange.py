"""Storing jobs that wait as others, each in its state: with other contents, or in another queue.

What waits for a time, or for other jobs, is exchanged in one step. A job in line has no such step, and a worker may
claim it between any two of ours. So its queue is held still meanwhile (`hold`), and it goes by way of a timer:

1. A timer of the job is stored beside it, which after `BACK` seconds, while the pause lasts, puts it back in line.
2. The message in line is deleted. Whether it was ever handed out, the lane tells: what it has delivered counts up.
3. The timer is exchanged for what the job is to be.

Killed anywhere, the job is in line or under its timer, or what it is to be; never two of these, and never none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from naq import clock
from naq.backends.nats import messages
from naq.backends.nats.api import Message, read_ack
from naq.backends.nats.client.errors import Conflict
from naq.backends.nats.find import Place, read_place
from naq.backends.nats.hold import Held, Hold
from naq.backends.nats.keyed import Keyed
from naq.faults import fault
from naq.job import JobSpec, JobState, Priority

BACK: Final = 5.0  # seconds after which a job goes back in line; many times what a page of them takes
AT_ONCE: Final = 500  # jobs for which their queue stands still at once: some tenths of a second
_LOOKED_UP: Final = f"{messages.REPUBLISH}: 1\r\n"  # before it runs: somebody may have cancelled it where it was

Pair = tuple[Place, JobSpec]


class Exchange(Keyed, Hold):
    """For `amend` and `move`."""

    async def exchange_queues(self, jobs: Sequence[tuple[JobSpec, JobSpec]]) -> list[bool]:
        """Store jobs of any queues as others, given as they were seen; whether each was."""
        done: set[str] = set()
        for queue in dict.fromkeys(seen.queue for seen, _ in jobs):
            of_it = [job for job in jobs if job[0].queue == queue]
            for start in range(0, len(of_it), AT_ONCE):
                done |= await self.exchange_all(queue, of_it[start : start + AT_ONCE])
        return [seen.id in done for seen, _ in jobs]

    async def exchange_all(self, queue: str, jobs: Sequence[tuple[JobSpec, JobSpec]]) -> set[str]:
        """Store jobs of `queue` as others, given as they were seen; the ids of those that were.

        Where one is in line, the queue stands still meanwhile: some tenths of a second for 500 jobs.
        """
        found = await self._standing(jobs)
        waiting = [pair for pair in found if pair[0].state is not JobState.QUEUED]
        done = await self._exchange(waiting)
        delivered = await self.delivered(queue)
        if any(_is_in_line(place, delivered) for place, _ in found):  # else the queue need not be held for them
            gone = {place.job.id for place, _ in waiting}
            async with self.held(queue) as hold:
                done |= await self._exchange_ready(queue, hold, [job for job in jobs if job[0].id not in gone])
        return done

    async def _standing(self, jobs: Sequence[tuple[JobSpec, JobSpec]]) -> list[Pair]:
        """Those of `jobs` that still stand as they were seen, each with its place."""
        filters = [self.subjects.any_of(seen.id) for seen, _ in jobs]
        found: dict[str, list[Message]] = {}
        for message in await self.js.lasts(self.subjects.jobs, filters) if filters else ():
            found.setdefault(message.subject.rpartition(".")[2], []).append(message)
        pairs: list[Pair] = []
        for seen, changed in jobs:
            # Two messages: it is on its way from one state to another, or a move of it was killed. Later, then.
            if len(stored := found.get(seen.id, [])) == 1:
                place = read_place(stored[0])
                if replace(place.job, fresh=seen.fresh) == seen:
                    pairs.append((place, changed))
        return pairs

    async def _exchange(self, pairs: Sequence[Pair]) -> set[str]:
        """Store jobs that wait for something as others, each in one step; the ids of those that were."""
        done = await asyncio.gather(*(self._exchange_one(place, changed) for place, changed in pairs))
        return {place.job.id for (place, _), is_done in zip(pairs, done, strict=True) if is_done}

    async def _exchange_one(self, place: Place, changed: JobSpec) -> bool:
        guard = None
        if _needs_room(place, changed) and (guard := await self._room(place, changed)) is None:
            return False
        # What was in line is under the timer that we gave it; all else keeps its own.
        target, lines = self.placed(changed, clock.now(), timer=place.state is not JobState.QUEUED)
        return await self.exchange(place.message, changed, target, lines + _LOOKED_UP, guard=guard)

    async def _room(self, place: Place, changed: JobSpec) -> tuple[int, str] | None:
        """On which condition nobody in the other queue has the key of `changed`; None where somebody has it."""
        subject, last = self.subjects.with_key(changed.key), place.message.sequence
        async for message in self.js.walk(self.subjects.jobs, subject):
            last = max(last, message.sequence)
            there = read_place(message)
            if there.job.queue == changed.queue and there.job.id != changed.id and await self._has_key(there, changed):
                return None
        return last, subject

    async def _exchange_ready(self, queue: str, hold: Held, jobs: Sequence[tuple[JobSpec, JobSpec]]) -> set[str]:
        """Store those of `jobs` as others that are in line in the held `queue` and were never handed out."""
        ready = [
            (place, changed)
            for place, changed in await self._standing(jobs)
            if _is_in_line(place, hold.delivered)
            if not _needs_room(place, changed) or await self._room(place, changed) is not None
        ]
        timers = await asyncio.gather(*(self._put_aside(place, hold.now + BACK) for place, _ in ready))
        fault("move.aside")
        aside = [(place, changed, timer) for (place, changed), timer in zip(ready, timers, strict=True) if timer]
        # The pause is over: what is in line is the workers' again, and a timer replaces what they did not take.
        if await self.delivered(queue) != hold.delivered or clock.monotonic() > hold.until:
            return set()
        gone = await asyncio.gather(
            *(self.js.delete(self.subjects.jobs, place.message.sequence) for place, _, _ in aside)
        )
        fault("move.taken")
        delivered = await self.delivered(queue)
        return await self._exchange([
            (place._replace(message=timer), changed)
            for (place, changed, timer), is_gone in zip(aside, gone, strict=True)
            if is_gone and _is_in_line(place, delivered)
        ])  # fmt: skip

    async def _put_aside(self, place: Place, back_at: float) -> Message | None:
        """Store a timer beside a job in line; None where it is not there any more, or nobody knows."""
        job = place.job
        timer = self.subjects.timer(job.queue, job.priority, job.id, job.key)
        header = messages.block(
            f"{messages.EXPECT}: {place.message.sequence}\r\n{messages.EXPECT_ON}: {self.subjects.any_of(job.id)}\r\n"
            + messages.describe(job)
            + messages.schedule(self.subjects, job, back_at)
            + _LOOKED_UP
        )
        try:
            payload, _ = await self.courier.publish(
                timer.encode(), job.payload, header, timeout=self.config.publish_timeout
            )
        except Conflict:
            return None  # if an earlier try of ours was stored, the job is back in line in a moment
        return Message(timer, read_ack(payload), job.payload, {})


def _needs_room(place: Place, changed: JobSpec) -> bool:
    """Whether its key may be taken where it goes."""
    return bool(changed.key) and changed.queue != place.job.queue


def _is_in_line(place: Place, delivered: dict[Priority, int]) -> bool:
    """Whether a job waits for a worker, and was never handed out: what is in line goes out in order of sequence."""
    return place.state is JobState.QUEUED and place.message.sequence > delivered[place.job.priority]
