"""Moving jobs that wait to another queue."""

from __future__ import annotations

from collections.abc import Sequence

from naq.backends.check import check_moved
from naq.backends.nats.amend import Amend
from naq.backends.nats.enqueue import OWN_HEADERS
from naq.job import JobSpec


class Move(Amend):
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
        return await self.exchange_queues(jobs)
