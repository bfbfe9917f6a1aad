"""Cancelling: a mark that sticks, a hint for whoever runs it, and a record that only one side can write."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from naq import clock
from naq.backends.base import RECORD_TTL, CancelResult, Settled, Signal
from naq.backends.nats import messages
from naq.backends.nats.find import Place, view
from naq.backends.nats.signals import Signals
from naq.job import JobRecord, JobState
from naq.names import check_token

_TRIES: Final = 3  # a job can move once or twice while we look for it; not more


class Cancel(Signals):
    """`JobAdmin.cancel`."""

    async def cancel(self, job_id: str) -> CancelResult:
        """Cancel a job; see `JobAdmin.cancel`."""
        self.must_be_open()
        check_token("job id", job_id)
        place = await self.place(job_id)
        known = await self.record_of(job_id)
        if place is None:
            return CancelResult.UNKNOWN if known is None else CancelResult.FINISHED
        if known is not None and known.run >= place.job.run:
            return CancelResult.FINISHED  # its message is only waiting for the ack that follows the record
        await self._mark_cancelled(job_id)
        # Moved to another queue before there was a mark, it may run there, and the record we would store stops nobody;
        # moved later, it is looked up before it runs.
        place = await self.place(job_id) or place
        if place.state is JobState.RUNNING:
            # Its worker stops it and writes the record; the mark stays for the next one if that dies.
            await self.send(Signal(kind="cancel", subject=job_id))
            return CancelResult.REQUESTED
        # The record first: without it, the job would be gone without a trace if we died in between.
        if await self.store(_record(place, self.config.record_arguments), first=place.job.run == 1) is not Settled.DONE:
            return CancelResult.FINISHED
        await self.take_away(place)
        await self.applied()
        # Handed out between our look and the delete: its worker finds the record, and is told.
        await self.send(Signal(kind="cancel", subject=job_id))
        return CancelResult.REMOVED

    async def take_away(self, place: Place | None) -> None:
        """Delete what waits of a job, also if it moves meanwhile: a timer fires, a holder hands it back."""
        there = place
        for _ in range(_TRIES):
            if place is None or there is None or there.job.run > place.job.run:
                return
            await self.js.delete(self.subjects.jobs, there.message.sequence)
            # Again, though it was there: a move that was killed leaves a job in line and a timer that would replace it.
            there = await self.place(place.job.id)

    async def _mark_cancelled(self, job_id: str) -> None:
        header = messages.block(f"Nats-TTL: {int(RECORD_TTL)}s\r\n")
        await self.courier.publish(
            self.subjects.cancel_mark(job_id).encode(), b"{}", header, timeout=self.config.publish_timeout
        )


def _record(place: Place, limit: int) -> JobRecord:
    reason = "cancelled before it ran"
    return replace(
        view(place, limit),
        state=JobState.CANCELLED,
        finished_at=clock.now(),
        reason=reason,
        run_at=0.0,
        key="",
        limits=[],
    )
