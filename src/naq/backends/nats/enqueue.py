"""Storing jobs: one pipelined publish each, its own subject compared and set."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from naq import clock
from naq.backends.base import EnqueueResult
from naq.backends.nats import messages
from naq.backends.nats.client.courier import Answer
from naq.backends.nats.client.errors import Conflict
from naq.backends.nats.session import Session
from naq.faults import fault, is_armed
from naq.job import JobSpec, new_id
from naq.names import check_token

WINDOW: Final = 4096  # publishes on their way at once; some megabytes, and far above what one round trip can carry


class Enqueue(Session):
    """`JobQueue.enqueue`."""

    async def enqueue(self, jobs: Sequence[JobSpec], *, timeout: float | None = None) -> list[EnqueueResult]:
        """Store `jobs`; see `JobQueue.enqueue`."""
        self.must_be_open()
        timeout = self.config.publish_timeout if timeout is None else timeout
        for job in jobs:
            check_token("job id", job.id)
            check_token("queue", job.queue)
        for queue in {job.queue for job in jobs}:
            await self.know(queue)
        if len(jobs) == 1:
            future, nonce = self._publish(jobs[0], timeout)
            return [await self._outcome(jobs[0], future, nonce)]
        return await self._many(jobs, timeout)

    async def _many(self, jobs: Sequence[JobSpec], timeout: float) -> list[EnqueueResult]:
        sent: list[tuple[asyncio.Future[Answer], str]] = []
        results: list[EnqueueResult] = []
        try:
            for job in jobs:
                if len(sent) - len(results) >= WINDOW:
                    at = len(results)
                    results.append(await self._outcome(jobs[at], *sent[at]))
                sent.append(self._publish(job, timeout))
                if len(sent) == len(jobs) // 2 and is_armed("enqueue.mid_batch"):
                    await self.link.flush()  # or nothing of the batch would have left this process
                    fault("enqueue.mid_batch")
            for at in range(len(results), len(jobs)):
                results.append(await self._outcome(jobs[at], *sent[at]))  # noqa: PERF401 - outcomes may raise midway
        finally:
            for future, _ in sent[len(results) :]:
                # One failure ends the call; the others' outcomes are read so that none is reported as unseen.
                future.add_done_callback(_seen)
        return results

    def _publish(self, job: JobSpec, timeout: float) -> tuple[asyncio.Future[Answer], str]:
        """Send one job; the future of its PubAck, and the nonce by which we know our own."""
        subjects = self.subjects
        waits = job.run_at is not None and job.run_at > clock.now()
        subject = (subjects.timer if waits else subjects.ready)(job.queue, job.priority, job.id)
        if job.fresh and not waits and job.headers is None and job.attempt == 1:
            return self.courier.publish(subject.encode(), job.payload, messages.CAS_FRESH, timeout=timeout), ""
        lines = f"{messages.EXPECT}: 0\r\n"
        nonce = ""
        if not job.fresh:
            # A chosen id must be free in every place where a job may wait; the record is checked before it runs.
            nonce = new_id()
            lines += f"{messages.EXPECT_ON}: {subjects.any_of(job.id)}\r\n{messages.NONCE}: {nonce}\r\n"
        lines += messages.describe(job)
        if waits and job.run_at is not None:
            lines += messages.schedule(subjects, job, job.run_at)
        return self.courier.publish(subject.encode(), job.payload, messages.block(lines), timeout=timeout), nonce

    async def _outcome(self, job: JobSpec, future: asyncio.Future[Answer], nonce: str) -> EnqueueResult:
        try:
            if future.done():
                future.result()
            else:
                await future
        except Conflict as conflict:
            if job.fresh:
                return EnqueueResult(job.id, conflict.first_try)
            there = await self.js.last(self.subjects.jobs, self.subjects.any_of(job.id))
            # Nothing there after an earlier try of ours: it was stored, and is finished or running already.
            ours = there is None and not conflict.first_try
            if there is not None and there.headers.get(messages.NONCE) == nonce:
                ours = True
            return EnqueueResult(job.id, not ours)
        return EnqueueResult(job.id)


def _seen(future: asyncio.Future[Answer]) -> None:
    if not future.cancelled():
        future.exception()
