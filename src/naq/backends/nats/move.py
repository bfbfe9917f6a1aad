"""Moving jobs that wait to another queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from naq.backends.check import check_moved
from naq.backends.nats.amend import Amend
from naq.backends.nats.enqueue import OWN_HEADERS
from naq.job import JobSpec

AT_ONCE: Final = 500  # jobs for which their queue stands still at once: some tenths of a second


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
        moved: set[str] = set()
        for queue in dict.fromkeys(seen.queue for seen, _ in jobs):
            of_it = [job for job in jobs if job[0].queue == queue]
            for start in range(0, len(of_it), AT_ONCE):
                moved |= await self.exchange_all(queue, of_it[start : start + AT_ONCE])
        return [seen.id in moved for seen, _ in jobs]
