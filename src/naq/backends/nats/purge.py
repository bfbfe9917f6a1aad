"""Removing what waits in a queue, and nothing that runs."""

from __future__ import annotations

import asyncio
from typing import Final

from naq import clock
from naq.backends.nats.hold import Held, Hold
from naq.backends.nats.subjects import ALL_LANES
from naq.exceptions import NaqBackpressureError
from naq.job import Priority
from naq.names import check_token

_AT_ONCE: Final = 200  # messages whose deletion is awaited together


class Purge(Hold):
    """`JobAdmin.purge`."""

    async def purge(self, queue: str) -> int:
        """Remove what waits for a time, for others, or in line; see `JobAdmin.purge`.

        The queue is held still meanwhile: what a worker was handed and has not taken is in line again then, and not on
        its way to anybody.
        """
        self.must_be_open()
        check_token("queue", queue)
        await self.lane_info(queue, "normal")  # a broker that is gone is noticed here: a purge may take a minute
        removed = await self._purge_subject(self.subjects.timers(queue))
        removed += await self._purge_subject(self.subjects.unfinished(queue, blocked=True))
        is_done = False
        while not is_done:
            try:
                async with self.held(queue) as hold:
                    more, is_done = await self._purge_lanes(queue, hold)
                    await self.applied()
            except NaqBackpressureError:  # a full broker has no room for the note that holds it still
                if not (more := await self._purge_idle(queue)):
                    raise
            removed += more
        return removed

    async def _purge_lanes(self, queue: str, hold: Held) -> tuple[int, bool]:
        """Remove what is in line; how many, and whether that is all: a turn may be too short for a long line."""
        removed = 0
        for priority in ALL_LANES:
            found: list[int] = []
            lane = self.subjects.lane(queue, priority)
            if not (await self.lane_info(queue, priority))["num_ack_pending"]:
                removed += await self._purge_subject(lane)  # nothing of it runs
                continue
            # By sequence, above what was handed out: a purge by subject would take running jobs along.
            async for message in self.js.walk(self.subjects.jobs, lane, after=hold.delivered[priority]):
                found.append(message.sequence)
                if len(found) == _AT_ONCE:
                    removed += await self._delete(found)
                    found.clear()
                    if clock.monotonic() > hold.until:
                        return removed, False
            removed += await self._delete(found)
        return removed, True

    async def _purge_idle(self, queue: str) -> int:
        """Remove what is in the lanes of which nothing runs, which makes room; how many."""
        idle: list[Priority] = [p for p in ALL_LANES if not (await self.lane_info(queue, p))["num_ack_pending"]]
        return sum([await self._purge_subject(self.subjects.lane(queue, priority)) for priority in idle])

    async def _purge_subject(self, subject: str) -> int:
        answer = await self.js.call(f"STREAM.PURGE.{self.subjects.jobs}", {"filter": subject}, timeout=60, slow=True)
        return int(answer["purged"])

    async def _delete(self, sequences: list[int]) -> int:
        return sum(await asyncio.gather(*(self.js.delete(self.subjects.jobs, each) for each in sequences)))
