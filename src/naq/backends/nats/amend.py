"""Giving a job that waits other contents."""

from __future__ import annotations

from collections.abc import Sequence

from naq import clock
from naq.backends.check import check_amended
from naq.backends.nats.enqueue import OWN_HEADERS
from naq.backends.nats.exchange import Exchange
from naq.job import JobSpec, JobState


class Amend(Exchange):
    """`JobAdmin.amend`."""

    async def amend(self, seen: JobSpec, changed: JobSpec) -> bool:
        """Store a waiting job with other contents; see `JobAdmin.amend`."""
        self.must_be_open()
        config = self.config
        room = int(self.link.server["max_payload"]) - config.max_headers - OWN_HEADERS
        check_amended(seen, changed, max_payload=min(config.max_payload, room), max_headers=config.max_headers)
        place = await self.place(seen.id)
        if place is None or place.state is JobState.RUNNING or place.job != seen:
            return False
        if place.state is JobState.QUEUED:
            return bool(await self.exchange_all(seen.queue, [(seen, changed)]))
        # On condition that what waits is what we saw: one that has gone off, to a worker perhaps, stays as it was. One
        # of another priority is a timer elsewhere, and the one here goes in the same step.
        target, schedule = self.placed(changed, clock.now(), timer=True)
        return await self.exchange(place.message, changed, target, schedule)

    async def amend_many(self, jobs: Sequence[tuple[JobSpec, JobSpec]]) -> list[bool]:
        """Store waiting jobs with other contents, a queue after the other; see `JobAdmin.amend_many`."""
        self.must_be_open()
        config = self.config
        room = int(self.link.server["max_payload"]) - config.max_headers - OWN_HEADERS
        for seen, changed in jobs:
            check_amended(seen, changed, max_payload=min(config.max_payload, room), max_headers=config.max_headers)
        return await self.exchange_queues(jobs)
