"""What is known of a job, and waiting for its end."""

from __future__ import annotations

import asyncio

import pytest

from naq import clock
from naq.exceptions import JobNotFoundError, ResultTimeout
from naq.job import JobState
from naq.testing.conformance.bench import QUIET, Bench, lapsing, record, scenario


class TestGet:
    """`get`."""

    @scenario
    async def test_unknown(self, bench: Bench) -> None:
        """None, not an error."""
        assert await (await bench.open()).get(bench.name("nobody")) is None

    @scenario
    async def test_every_state_on_the_way(self, bench: Bench) -> None:
        """From any instance: queued, running, retrying, running, succeeded."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()

        async def state(job_id: str) -> tuple[JobState, int]:
            known = await other.get(job_id)
            assert known is not None
            assert (known.id, known.queue) == (job_id, queue)
            return known.state, known.attempt

        job = await bench.enqueued(backend, queue)
        assert await state(job.id) == (JobState.QUEUED, 1)
        claim = await bench.claim(backend, queue)
        assert await state(job.id) == (JobState.RUNNING, 1)
        await backend.retry(claim, delay=1.0)
        assert await state(job.id) == (JobState.RETRYING, 2)
        claim = await bench.claim(backend, queue, wait=1.0 + bench.slack)
        assert await state(job.id) == (JobState.RUNNING, 2)
        await backend.complete(claim, record(claim))
        assert await state(job.id) == (JobState.SUCCEEDED, 2)

    @scenario
    async def test_the_task_of_a_waiting_job(self, bench: Bench) -> None:
        """Read from the envelope where it is one; where it is none, the name is empty and that is all."""
        queue = bench.name()
        backend = await bench.open()
        good, bad = await bench.enqueued(backend, queue), await bench.enqueued(backend, queue, payload=b"\xff{")
        for job, task in ((good, "conformance.task"), (bad, "")):
            known = await backend.get(job.id)
            assert known is not None
            assert (known.task, known.state) == (task, JobState.QUEUED)

    @lapsing
    async def test_a_lost_job_is_seen(self, bench: Bench) -> None:
        """While its lease runs out and after it, a job is known: it is never nowhere."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        end = clock.monotonic() + bench.lease + bench.slack
        while clock.monotonic() < end:
            known = await backend.get(claim.job.id)
            assert known is not None
            assert known.state in {JobState.RUNNING, JobState.QUEUED}
            await bench.harness.advance(bench.lease / 4)


class TestWait:
    """`wait`."""

    @scenario
    async def test_it_is_pushed(self, bench: Bench) -> None:
        """The record, as soon as it is stored, to a waiter that was there before the job ran."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        job = await bench.enqueued(backend, queue)
        waiting = asyncio.ensure_future(other.wait(job.id, timeout=3600))
        claim = await bench.claim(backend, queue)
        await bench.harness.advance(QUIET)
        assert not waiting.done()
        await backend.complete(claim, record(claim))
        before = clock.monotonic()
        assert await bench.passing(waiting) == await backend.get(job.id)
        assert clock.monotonic() - before < max(1.0, bench.slack)

    @scenario
    async def test_what_is_over_needs_no_waiting(self, bench: Bench) -> None:
        """At once, also with no time to wait."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.complete(claim, record(claim))
        for timeout in (None, 5.0):
            assert (await bench.passing(backend.wait(claim.job.id, timeout=timeout))).state is JobState.SUCCEEDED

    @scenario
    async def test_many_waiters(self, bench: Bench) -> None:
        """On one job and on many: each gets its record."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        await backend.enqueue(jobs := [bench.job(queue, fresh=True) for _ in range(50)])
        waiting = [asyncio.ensure_future(other.wait(job.id, timeout=3600)) for job in (*jobs, *jobs)]
        for claim in await bench.gather(backend, queue, count=50):
            await backend.complete(claim, record(claim))
        found = await bench.passing(asyncio.gather(*waiting))
        assert [final.id for final in found] == [job.id for job in (*jobs, *jobs)]

    @scenario
    async def test_in_another_thread(self, bench: Bench) -> None:
        """A waiter in a thread and loop of its own hears of it too."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        waiting = asyncio.ensure_future(bench.elsewhere(lambda other: other.wait(claim.job.id, timeout=3600)))
        await bench.harness.advance(QUIET)
        await backend.complete(claim, record(claim))
        assert (await bench.passing(waiting)).id == claim.job.id

    @scenario
    async def test_failures_are_records_too(self, bench: Bench) -> None:
        """Any final state ends the wait; whether to raise is for others to decide."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        waiting = asyncio.ensure_future(backend.wait(claim.job.id, timeout=3600))
        await backend.discard(claim, record(claim, JobState.FAILED))
        assert (await bench.passing(waiting)).state is JobState.FAILED

    @scenario
    async def test_too_long(self, bench: Bench) -> None:
        """`ResultTimeout`, which is a TimeoutError, after the time given; the job goes on."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = await bench.enqueued(backend, queue)
        before = clock.monotonic()
        with pytest.raises(ResultTimeout, match=job.id):
            await bench.passing(backend.wait(job.id, timeout=QUIET))
        assert clock.monotonic() - before >= QUIET * 0.9
        assert (await bench.claim(backend, queue)).job.id == job.id

    @scenario
    async def test_unknown(self, bench: Bench) -> None:
        """`JobNotFoundError`, not a wait for what will never come."""
        backend = await bench.open()
        with pytest.raises(JobNotFoundError):
            await bench.passing(backend.wait(bench.name("nobody"), timeout=3600))

    @scenario
    async def test_a_waiter_that_gives_up(self, bench: Bench) -> None:
        """Cancelling a wait harms neither the job nor other waiters."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        gone, stays = (asyncio.ensure_future(backend.wait(claim.job.id, timeout=3600)) for _ in range(2))
        await bench.harness.advance(QUIET)
        gone.cancel()
        await asyncio.wait({gone})
        await backend.complete(claim, record(claim))
        assert (await bench.passing(stays)).state is JobState.SUCCEEDED
