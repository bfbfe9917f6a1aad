"""Letting a timer go off before its time: one publish removes it and puts its job in line, so one caller wins."""

from __future__ import annotations

from naq.backends.nats import messages
from naq.backends.nats.api import Message
from naq.backends.nats.cancel import Cancel
from naq.backends.nats.client.errors import Conflict
from naq.backends.nats.find import Place
from naq.job import JobSpec, JobState, new_id
from naq.names import check_token

_WAITS = frozenset({JobState.SCHEDULED, JobState.RETRYING})


class Early(Cancel):
    """`JobAdmin.run_now`."""

    async def run_now(self, job_id: str) -> bool:
        """Put a job that waits for a time in line; see `JobAdmin.run_now`."""
        self.must_be_open()
        check_token("job id", job_id)
        place = await self.place(job_id)
        while place is not None and place.state in _WAITS:
            if await self.set_off(place):
                return True
            place = await self.moved(place)
        return False

    async def moved(self, place: Place) -> Place | None:
        """Where a job stands that was changed (`amend`) under our hands; None where it does not stand there any more.

        Its state is another then, or somebody else was quicker.
        """
        there = await self.place(place.job.id)
        changed = there is not None and there.state is place.state and there.message.sequence != place.message.sequence
        return there if changed else None

    async def set_off(self, place: Place, *, run_at: float | None = None) -> bool:
        """Replace a timer, or a job parked as one, by its job in line, or by a timer for `run_at`; whether we did it.

        False: it went off by itself, was cancelled, or somebody else was quicker.
        """
        job = place.job
        if run_at is None:
            return await self.exchange(
                place.message, job, self.subjects.ready(job.queue, job.priority, job.id, job.key)
            )
        target = self.subjects.timer(job.queue, job.priority, job.id, job.key)
        return await self.exchange(place.message, job, target, messages.schedule(self.subjects, job, run_at))

    async def exchange(
        self, old: Message, job: JobSpec, target: str, lines: str = "", *, guard: tuple[int, str] | None = None
    ) -> bool:
        """Take `old`, a timer or parked job, out and store `job` on `target`, with header `lines` too; whether we did.

        The broker does both in one step, on condition that `old` still lies there; or, with `guard`, that the newest
        message on its filter is that of its sequence.
        """
        sequence, subject = (old.sequence, old.subject) if guard is None else guard
        nonce = new_id()
        head = f"{messages.EXPECT}: {sequence}\r\n{messages.EXPECT_ON}: {subject}\r\n{messages.NONCE}: {nonce}\r\n"
        if target != old.subject:  # what is on the same subject is replaced anyway
            head += f"{messages.SCHEDULER}: {old.subject}\r\n{messages.NEXT}: purge\r\n"
        header = messages.block(head + messages.describe(job) + lines)
        try:
            await self.courier.publish(target.encode(), job.payload, header, timeout=self.config.publish_timeout)
        except Conflict as conflict:
            if conflict.first_try:
                return False
            there = await self.js.last(self.subjects.jobs, self.subjects.any_of(job.id))
            # An earlier try of ours whose answer was lost: it was stored, and may have gone its way since.
            return there is None or there.headers.get(messages.NONCE) == nonce
        return True
