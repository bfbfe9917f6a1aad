"""Moving jobs that wait to another queue.

What waits for a time, or for other jobs, is exchanged in one step. A job in line has no such step, and a worker may
claim it between any two of ours. So nothing of its queue is handed out meanwhile, and it goes by way of a timer:

1. The broker pauses the lanes, for `HOLD` seconds at most: if we die, that ends by itself.
2. A timer of the job is stored beside it, which after `BACK` seconds, while the pause lasts, puts it back in line.
3. The message in line is deleted. Whether it was ever handed out, the lane tells: what it has delivered counts up.
4. The timer is exchanged for the job in line in the other queue.

Killed anywhere, the job is in line or under its timer, or in the other queue; never in both, and never in none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from naq import clock
from naq.backends.check import check_moved
from naq.backends.nats import messages
from naq.backends.nats.amend import Amend
from naq.backends.nats.api import Message, read_ack
from naq.backends.nats.client.errors import Conflict
from naq.backends.nats.enqueue import OWN_HEADERS
from naq.backends.nats.find import Place, read_place
from naq.backends.nats.queues import Queues
from naq.backends.nats.subjects import ALL_LANES, consumer
from naq.backends.nats.topology import ensure_lane
from naq.exceptions import BackendError, NaqException
from naq.faults import fault
from naq.job import JobSpec, JobState, Priority

HOLD: Final = (
    20.0  # seconds that a pause of ours lasts at most; an election may delay a timer by 6 s (RELIABILITY.md 2)
)
BACK: Final = 5.0  # seconds after which a job goes back in line; many times what AT_ONCE jobs take
AT_ONCE: Final = 500  # jobs between a pause and its end; some tenths of a second
_LOOK: Final = 0.01  # seconds between two looks whether a pause is in force; where replicas agree, some ms later
_LOOKED_UP: Final = f"{messages.REPUBLISH}: 1\r\n"  # before it runs: somebody may have cancelled it where it was

Pair = tuple[Place, JobSpec]


class _Hold(NamedTuple):
    """A queue of which nothing is handed out: what each lane has delivered (stream sequence), and the broker's time."""

    delivered: dict[Priority, int]
    now: float


class Move(Amend, Queues):
    """`JobAdmin.move`."""

    async def move(self, jobs: Sequence[tuple[JobSpec, JobSpec]]) -> list[bool]:
        """Exchange what waits for something; hold the queue for what is in line; see `JobAdmin.move`."""
        self.must_be_open()
        config = self.config
        room = int(self.link.server["max_payload"]) - config.max_headers - OWN_HEADERS
        for seen, changed in jobs:
            check_moved(seen, changed, max_payload=min(config.max_payload, room), max_headers=config.max_headers)
        for queue in {changed.queue for _, changed in jobs}:
            await self.know(queue)
        moved: set[str] = set()
        for queue in dict.fromkeys(seen.queue for seen, _ in jobs):
            of_it = [job for job in jobs if job[0].queue == queue]
            for start in range(0, len(of_it), AT_ONCE):
                moved |= await self._move(queue, of_it[start : start + AT_ONCE])
        return [seen.id in moved for seen, _ in jobs]

    async def _move(self, queue: str, jobs: Sequence[tuple[JobSpec, JobSpec]]) -> set[str]:
        """Move at most `AT_ONCE` jobs of `queue`; the ids of those that were."""
        found = await self._standing(jobs)
        waiting = [pair for pair in found if pair[0].state is not JobState.QUEUED]
        moved = await self._exchange(waiting)
        delivered = await self._delivered(queue)
        if any(_is_in_line(place, delivered) for place, _ in found):  # else the queue need not be held for them
            gone = {place.job.id for place, _ in waiting}
            async with self._held(queue) as hold:
                moved |= await self._move_ready(queue, hold, [job for job in jobs if job[0].id not in gone])
        return moved

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
        """Put jobs that wait for something into their other queue, each in one step; the ids of those that were."""
        done = await asyncio.gather(*(self._exchange_one(place, changed) for place, changed in pairs))
        return {place.job.id for (place, _), is_done in zip(pairs, done, strict=True) if is_done}

    async def _exchange_one(self, place: Place, changed: JobSpec) -> bool:
        guard = None
        if changed.key and (guard := await self._room(place, changed)) is None:
            return False
        if place.state is JobState.QUEUED:  # under the timer that we gave it
            target, lines = self.subjects.ready(changed.queue, changed.priority, changed.id, changed.key), ""
        else:
            target, lines = self.placed(changed, clock.now(), timer=True)
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

    async def _move_ready(self, queue: str, hold: _Hold, jobs: Sequence[tuple[JobSpec, JobSpec]]) -> set[str]:
        """Move those of `jobs` that are in line in the held `queue` and were never handed out."""
        ready = [
            (place, changed)
            for place, changed in await self._standing(jobs)
            if _is_in_line(place, hold.delivered)
            if not changed.key or await self._room(place, changed) is not None
        ]
        timers = await asyncio.gather(*(self._put_aside(place, hold.now + BACK) for place, _ in ready))
        fault("move.aside")
        aside = [(place, changed, timer) for (place, changed), timer in zip(ready, timers, strict=True) if timer]
        # Somebody ended the pause: what is in line is the workers' again, and a timer replaces what they did not take.
        if await self._delivered(queue) != hold.delivered:
            return set()
        gone = await asyncio.gather(
            *(self.js.delete(self.subjects.jobs, place.message.sequence) for place, _, _ in aside)
        )
        fault("move.taken")
        delivered = await self._delivered(queue)
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

    @asynccontextmanager
    async def _held(self, queue: str) -> AsyncGenerator[_Hold]:
        """Let nothing of `queue` be handed out in the block; a pause that was there stays."""
        infos: dict[Priority, dict[str, Any]] = {p: await self._lane(queue, p) for p in ALL_LANES}
        now, since = max(messages.stored_at(info["ts"]) for info in infos.values()), clock.monotonic()
        until = now + HOLD
        ours: list[Priority] = [
            priority
            for priority, info in infos.items()
            if not info.get("paused") or messages.stored_at(info["config"].get("pause_until", "")) < until
        ]
        try:
            end = datetime.fromtimestamp(until, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
            for priority in ours:
                await self._pause_lane(queue, priority, {"pause_until": end})
            while not all([(await self._lane(queue, priority)).get("paused") for priority in ALL_LANES]):
                if clock.monotonic() - since > self.config.connect_timeout:
                    raise BackendError(f"queue {queue} could not be held still to move its jobs: try again")
                await asyncio.sleep(_LOOK)
            await self.recall(queue)  # what workers were handed and have not taken
            yield _Hold(await self._delivered(queue), now + clock.monotonic() - since)
        finally:
            # Where this fails, the pause ends by itself.
            with suppress(NaqException):
                await self._let_go(queue, ours, until)

    async def _let_go(self, queue: str, lanes: Sequence[Priority], until: float) -> None:
        """End our pause, unless somebody else has made it theirs meanwhile."""
        for priority in lanes:
            info = await self._lane(queue, priority)
            if abs(messages.stored_at(info["config"].get("pause_until", "")) - until) < 0.001:
                await self._pause_lane(queue, priority, {})
        if lanes:
            await self.recall(queue)  # standing pulls are noticed at once that way

    async def _pause_lane(self, queue: str, priority: Priority, body: dict[str, Any]) -> None:
        await self.js.call(f"CONSUMER.PAUSE.{self.subjects.jobs}.{consumer(queue, priority)}", body)

    async def _delivered(self, queue: str) -> dict[Priority, int]:
        """The stream sequence up to which each lane of `queue` has handed out."""
        infos = await asyncio.gather(*(self._lane(queue, priority) for priority in ALL_LANES))
        return {p: int(info["delivered"]["stream_seq"]) for p, info in zip(ALL_LANES, infos, strict=True)}

    async def _lane(self, queue: str, priority: Priority) -> dict[str, Any]:
        info = await self._info(queue, priority)
        if info is None:  # an operator deleted it
            await ensure_lane(self.js, self.config, self.subjects, queue, priority)
            info = await self._info(queue, priority)
        if info is None:
            raise BackendError(f"queue {queue} has no consumer {consumer(queue, priority)}, and none could be made")
        return info


def _is_in_line(place: Place, delivered: dict[Priority, int]) -> bool:
    """Whether a job waits for a worker, and was never handed out: what is in line goes out in order of sequence."""
    return place.state is JobState.QUEUED and place.message.sequence > delivered[place.job.priority]
