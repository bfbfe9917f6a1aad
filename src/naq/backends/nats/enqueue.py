"""Storing jobs: each compared and set on a subject of its own; one by one, pipelined, or in a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from naq import clock
from naq.backends.base import EnqueueResult
from naq.backends.check import check_jobs
from naq.backends.nats import batch, messages
from naq.backends.nats.broker.durability import get_mode
from naq.backends.nats.client import ingest
from naq.backends.nats.client.courier import Answer
from naq.backends.nats.client.errors import Conflict
from naq.backends.nats.keyed import Keyed
from naq.faults import fault, is_armed
from naq.job import JobSpec, new_id

WINDOW: Final = 4096  # publishes on their way at once; some megabytes, and far above what one round trip can carry
OWN_HEADERS: Final = 2048  # bytes that our own headers take at most: two subjects, a reason, a nonce, numbers


class Enqueue(Keyed):
    """`JobQueue.enqueue`."""

    async def enqueue(self, jobs: Sequence[JobSpec], *, timeout: float | None = None) -> list[EnqueueResult]:
        """Store `jobs`; see `JobQueue.enqueue`."""
        self.must_be_open()
        timeout = self.config.publish_timeout if timeout is None else timeout
        config = self.config
        # A server may take less than we are configured to send; what is over its limit would cost the connection.
        room = int(self.link.server["max_payload"]) - config.max_headers - OWN_HEADERS
        check_jobs(jobs, max_payload=min(config.max_payload, room), max_headers=config.max_headers)
        for queue in {job.queue for job in jobs}:
            if queue not in self.known:
                await self.know(queue, wait=timeout)
        if any(job.replace for job in jobs):
            return [
                await self.give_way(job, timeout) if job.replace else (await self._many([job], timeout))[0]
                for job in jobs
            ]
        if len(jobs) == 1:
            future, nonce = self._publish(jobs[0], timeout)
            return [await self._outcome(jobs[0], future, nonce)]
        if len(jobs) < (batch.WORTH_IT if self._syncs else ingest.WORTH_IT) or not all(
            job.fresh and not job.key for job in jobs
        ):
            return await self._many(jobs, timeout)
        # New ids cannot be taken, so nobody needs to be told of each; one that is settles it by compare-and-set.
        until = clock.monotonic() + timeout
        results = [EnqueueResult(job.id) for job in jobs]
        for unknown in await self._in_bulk(jobs, until):
            left = max(until - clock.monotonic(), 0.0)
            part = jobs[unknown.start : unknown.stop]
            results[unknown.start : unknown.stop] = await self._many(part, left, again=True)
        return results

    @property
    def _syncs(self) -> bool:
        """Whether the broker syncs to disk at every write, so that writes had better come in batches."""
        return get_mode(self.config.durability).atomic_batches

    async def _in_bulk(self, jobs: Sequence[JobSpec], until: float) -> list[range]:
        """Store new jobs by the broker's means for many; those of which it is not known that they are stored."""
        now = clock.now()
        half = len(jobs) // 2 if is_armed("enqueue.mid_batch") else -1

        def build(index: int) -> tuple[bytes, bytes, bytes]:
            if index == half:
                fault("enqueue.mid_batch")
            job = jobs[index]
            subject, header, _ = self._address(job, now)
            return subject, header, job.payload

        if self._syncs:
            sizes = [len(job.payload) for job in jobs]
            return await batch.Batches(self.link).store(len(jobs), build, sizes.__getitem__, until=until)
        stored = await ingest.Ingest(self.link).store(len(jobs), build, until=until)
        return [range(stored, len(jobs))] if stored < len(jobs) else []

    async def _many(self, jobs: Sequence[JobSpec], timeout: float, *, again: bool = False) -> list[EnqueueResult]:
        """One pipelined publish a job. `again`: an earlier try may have stored some of them."""
        sent: list[tuple[asyncio.Future[Answer], str]] = []
        results: list[EnqueueResult] = []
        try:
            for job in jobs:
                if len(sent) - len(results) >= WINDOW:
                    at = len(results)
                    results.append(await self._outcome(jobs[at], *sent[at]))
                sent.append(self._publish(job, timeout, again=again))
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

    def _publish(self, job: JobSpec, timeout: float, *, again: bool = False) -> tuple[asyncio.Future[Answer], str]:
        """Send one job; the future of its PubAck, and the nonce by which we know our own."""
        subject, header, nonce = self._address(job, clock.now())
        return self.courier.publish(subject, job.payload, header, timeout=timeout, again=again), nonce

    def _address(self, job: JobSpec, now: float) -> tuple[bytes, bytes, str]:
        """Where a job goes, its header block, and its nonce (empty for a new id)."""
        subjects = self.subjects
        if (
            job.fresh
            and job.run_at is None
            and job.headers is None
            and job.attempt == 1
            and not (job.key or job.blocked)
        ):
            return subjects.ready(job.queue, job.priority, job.id).encode(), messages.CAS_FRESH, ""
        subject, schedule = self.placed(job, now)
        lines = f"{messages.EXPECT}: 0\r\n"
        nonce = ""
        if not job.fresh:
            # A chosen id must be free in every place where a job may wait; the record is checked before it runs.
            nonce = new_id()
            lines += f"{messages.EXPECT_ON}: {subjects.any_of(job.id)}\r\n{messages.NONCE}: {nonce}\r\n"
        elif job.key:
            nonce = new_id()
            lines += f"{messages.EXPECT_ON}: {subjects.keyed(job.queue, job.key)}\r\n{messages.NONCE}: {nonce}\r\n"
        return subject.encode(), messages.block(lines + messages.describe(job) + schedule), nonce

    async def _outcome(self, job: JobSpec, future: asyncio.Future[Answer], nonce: str) -> EnqueueResult:
        try:
            if future.done():
                future.result()
            else:
                await future
        except Conflict as conflict:
            if job.key:
                timeout = self.config.publish_timeout
                return await self.take_key(job, nonce, first_try=conflict.first_try, timeout=timeout)
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
