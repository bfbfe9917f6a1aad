"""Giving a job that waits other contents: one publish takes its timer out and stores another, so one caller wins."""

from __future__ import annotations

from typing import Final

from naq import clock
from naq.backends.check import check_amended
from naq.backends.nats import messages
from naq.backends.nats.client.errors import Conflict
from naq.backends.nats.early import Early
from naq.backends.nats.enqueue import OWN_HEADERS
from naq.backends.nats.keyed import Keyed
from naq.job import JobSpec, JobState, new_id

_STATES: Final = frozenset({JobState.SCHEDULED, JobState.RETRYING, JobState.BLOCKED})


class Amend(Keyed, Early):
    """`JobAdmin.amend`."""

    async def amend(self, seen: JobSpec, changed: JobSpec) -> bool:
        """Store a waiting job with other contents; see `JobAdmin.amend`."""
        self.must_be_open()
        config = self.config
        room = int(self.link.server["max_payload"]) - config.max_headers - OWN_HEADERS
        check_amended(seen, changed, max_payload=min(config.max_payload, room), max_headers=config.max_headers)
        place = await self.place(seen.id)
        if place is None or place.state not in _STATES or place.job != seen:
            return False
        old, nonce = place.message, new_id()
        target, schedule = self.placed(changed, clock.now(), timer=True)
        # On condition that what waits is what we saw: one that has gone off, to a worker perhaps, stays as it was.
        lines = (
            f"{messages.EXPECT}: {old.sequence}\r\n{messages.EXPECT_ON}: {old.subject}\r\n{messages.NONCE}: {nonce}\r\n"
        )
        if target != old.subject:  # another priority: the timer there goes in the same step
            lines += f"{messages.SCHEDULER}: {old.subject}\r\n{messages.NEXT}: purge\r\n"
        lines += messages.describe(changed) + schedule
        try:
            await self.courier.publish(
                target.encode(), changed.payload, messages.block(lines), timeout=config.publish_timeout
            )
        except Conflict as conflict:
            if conflict.first_try:
                return False
            there = await self.js.last(self.subjects.jobs, self.subjects.any_of(seen.id))
            # As with `set_off`: an earlier try of ours was stored, and may have gone its way since.
            return there is None or there.headers.get(messages.NONCE) == nonce
        return True
