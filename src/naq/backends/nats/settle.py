"""Ending a claim. The final record, compared and set, is the truth; acks are garbage collection and prove nothing."""

from __future__ import annotations

import asyncio

import msgspec

from naq import clock
from naq.backends.base import Claim, Settled
from naq.backends.nats import messages
from naq.backends.nats.api import Message, read_ack
from naq.backends.nats.client.errors import Conflict
from naq.backends.nats.fetch import ACK, NAK
from naq.backends.nats.recall import Recall
from naq.codec.record import decode_record, encode_record
from naq.faults import fault, is_armed
from naq.job import JobRecord, JobSpec, JobState


def read_record(message: Message | None) -> JobRecord | None:
    """The record in a message of the log."""
    return None if message is None else decode_record(message.data)


class Settle(Recall):
    """`JobQueue.complete`, `discard`, `retry`, `release`, `reject`, `drop` and `lookup`."""

    async def complete(self, claim: Claim, record: JobRecord) -> Settled:
        """Store the record, then ack; see `JobQueue.complete`."""
        self.must_be_open()
        settled = await self.store(record, first=claim.job.run == 1)
        fault("complete.after_record")
        self.settle(claim.receipt, ACK)
        return settled

    async def store(self, record: JobRecord, *, first: bool) -> Settled:
        """Store a final record if its run has none. `first`: no run came before, so there is no record at all."""
        subject = self.subjects.record(record.queue, record.id)
        header = messages.CAS_NEW
        if not first:
            before = await self.js.last(self.subjects.log, subject)
            earlier = read_record(before)
            if before is not None and earlier is not None:
                if earlier.run >= record.run:
                    return _same(earlier, record)
                header = messages.block(f"{messages.EXPECT}: {before.sequence}\r\n")
        body = encode_record(record)
        sent = self.courier.publish(subject.encode(), body, header, timeout=self.config.publish_timeout)
        if is_armed("complete.record_sent"):
            await self.link.flush()  # or the record would die with this process, unsent
            fault("complete.record_sent")
        try:
            await sent
        except Conflict:
            there = read_record(await self.js.last(self.subjects.log, subject))
            if there is not None and there.run < record.run:
                return await self.store(record, first=False)
            return _same(there, record)
        return Settled.DONE

    async def discard(self, claim: Claim, record: JobRecord) -> Settled:
        """Dead letter first where the job failed, then the record, then ack; see `JobQueue.discard`."""
        self.must_be_open()
        buried = 0
        if record.state is JobState.FAILED:
            buried = await self.keep_dead(claim.job, record)
            fault("discard.after_dead")
        settled = await self.store(record, first=claim.job.run == 1)
        if buried and settled is Settled.SUPERSEDED:
            there = await self.record_at(record.queue, record.id)
            if there is None or there.state is not JobState.FAILED:
                await self.js.delete(self.subjects.dead, buried)  # it did not fail after all
        self.settle(claim.receipt, ACK)
        return settled

    async def keep_dead(self, job: JobSpec, record: JobRecord) -> int:
        """Keep a job as it was for a person; the letter's sequence. One subject a job: a repeat replaces its like."""
        error = record.error
        reason = f"{error.type}: {error.message}" if error is not None else record.reason or "failed"
        body = msgspec.structs.replace(job, reason=reason)
        lines = messages.describe(body) + f"Naq-Priority: {job.priority}\r\n"
        if job.key:
            lines += f"{messages.KEY}: {job.key}\r\n"
        subject = self.subjects.failed(job.queue, job.id).encode()
        payload, _ = await self.courier.publish(
            subject, job.payload, messages.block(lines), timeout=self.config.publish_timeout
        )
        return read_ack(payload)

    async def record_at(self, queue: str, job_id: str) -> JobRecord | None:
        """The latest final record of a job of `queue`, from the leader."""
        return read_record(await self.js.last(self.subjects.log, self.subjects.record(queue, job_id)))

    async def retry(self, claim: Claim, *, delay: float, payload: bytes | None = None, reason: str = "") -> Settled:
        """A broker-held timer with the next attempt, then ack; see `JobQueue.retry`."""
        self.must_be_open()
        job = claim.job
        if await self._is_over(job):
            self.settle(claim.receipt, ACK)
            return Settled.SUPERSEDED
        following = msgspec.structs.replace(
            job, attempt=job.attempt + 1, claims=0, payload=job.payload if payload is None else payload, reason=reason
        )
        settled = await self._hold(claim, following, delay)
        fault("retry.after_timer")
        self.settle(claim.receipt, ACK)
        return settled

    async def release(self, claim: Claim, *, delay: float = 0.0, reason: str = "") -> None:
        """NAK, first in line for the next worker; or a timer with the same attempt; see `JobQueue.release`."""
        self.must_be_open()
        if delay <= 0:
            self.settle(claim.receipt, NAK)
            return
        if not await self._is_over(claim.job):
            claims = claim.job.claims + claim.delivered
            await self._hold(claim, msgspec.structs.replace(claim.job, reason=reason, claims=claims), delay)
        self.settle(claim.receipt, ACK)

    async def _is_over(self, job: JobSpec) -> bool:
        """Whether this run of a job has its final record."""
        there = await self.record_at(job.queue, job.id)
        return there is not None and there.run >= job.run

    async def _hold(self, claim: Claim, job: JobSpec, delay: float) -> Settled:
        """Store a timer that puts `job` back in line after `delay` seconds."""
        subject = self.subjects.timer(job.queue, job.priority, job.id, job.key)
        nonce = f"{job.run}-{job.attempt}-{claim.delivered}"
        lines = (
            f"{messages.EXPECT}: 0\r\n{messages.NONCE}: {nonce}\r\n"
            + messages.describe(job)
            + messages.schedule(self.subjects, job, clock.now() + max(delay, 0.0))
        )
        try:
            await self.courier.publish(
                subject.encode(), job.payload, messages.block(lines), timeout=self.config.publish_timeout
            )
        except Conflict:
            # A timer stands already: ours from an earlier try, or that of a holder before us. It will do.
            return Settled.DONE
        return Settled.DONE

    async def reject(self, claim: Claim, *, reason: str) -> None:
        """Raw to the dead letters, then TERM; see `JobQueue.reject`."""
        self.must_be_open()
        job = claim.job
        await self.refuse(job.queue, claim.receipt, job.payload, messages.block(messages.describe(job)), reason)
        # Replicas may carry the TERM out a moment later, and its id would still seem to be running.
        await self.js.delete(self.subjects.jobs, messages.Receipt(claim.receipt).sequence)

    async def drop(self, claim: Claim) -> None:
        """Ack and store nothing; see `JobQueue.drop`."""
        self.must_be_open()
        self.settle(claim.receipt, ACK)

    async def lookup(self, claim: Claim) -> JobRecord | None:
        """Whether the job is over, put off, or to be cancelled; see `JobQueue.lookup`."""
        self.must_be_open()
        job = claim.job
        marked, timer = await asyncio.gather(self.marked([job.id]), self._timer(claim))
        # The record comes last: the look may take as long as an outage, and somebody else may have ended the job. Of
        # whatever queue: the job may have been moved, and its producer have stored it here once more.
        there = read_record(await self.js.last(self.subjects.log, self.subjects.records(job.id)))
        if there is not None and there.run >= job.run:
            return there
        if timer is not None and (timer.run, timer.attempt) >= (job.run, job.attempt):
            state = JobState.RETRYING
            return JobRecord(id=job.id, state=state, queue=job.queue, attempt=timer.attempt, run=timer.run)
        if marked:
            return JobRecord(id=job.id, state=JobState.CANCELLED, queue=job.queue, priority=job.priority)
        return None

    async def _timer(self, claim: Claim) -> JobSpec | None:
        """The timer that an earlier holder of a claimed job set, where there was one."""
        job = claim.job
        if claim.delivered < 2:
            return None
        timer = self.subjects.timer(job.queue, job.priority, job.id, job.key)
        message = await self.js.last(self.subjects.jobs, timer)
        return None if message is None else messages.job_from(job.id, job.queue, job.priority, b"", message.headers)


def _same(there: JobRecord | None, ours: JobRecord) -> Settled:
    """Whether the record that stood in our way is our own, from a try whose answer was lost."""
    if there is None:
        return Settled.SUPERSEDED
    mine = (there.run, there.attempt, there.delivered, there.worker, there.finished_at, there.state) == (
        ours.run,
        ours.attempt,
        ours.delivered,
        ours.worker,
        ours.finished_at,
        ours.state,
    )
    return Settled.DONE if mine else Settled.SUPERSEDED
