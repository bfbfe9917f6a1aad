"""Letting a job that waits for a time go at once."""

from __future__ import annotations

import asyncio

import pytest

from naq import clock
from naq.backends.base import CancelResult, Settled
from naq.exceptions import ConfigurationError
from naq.job import JobState
from naq.testing.conformance.bench import DELAY, QUIET, Bench, record, scenario

FAR = 3600.0  # seconds; a time that no test sees come


class TestRunNow:
    """`run_now`: the timer is gone, and the job in line."""

    @scenario
    async def test_a_scheduled_job(self, bench: Bench) -> None:
        """It comes out as it was, and once."""
        queue = bench.name()
        backend = await bench.open(queue)
        await bench.silent(backend, queue, wait=0.1)  # who waits for jobs is told of it, too
        job = await bench.enqueued(
            backend, queue, run_at=clock.now() + FAR, priority="high", headers={"traceparent": "00-ab-cd-01"}
        )
        assert await backend.run_now(job.id) is True
        claim = await bench.claim(backend, queue)
        assert (claim.job.id, claim.job.attempt, claim.job.run) == (job.id, 1, 1)
        assert (claim.job.payload, claim.job.priority, claim.job.headers) == (job.payload, "high", job.headers)
        assert claim.delivered == 1
        assert await backend.complete(claim, record(claim)) is Settled.DONE
        await bench.silent(backend, queue)
        await bench.counted(backend, queue, queued=0, scheduled=0)

    @scenario
    async def test_its_own_time_is_void(self, bench: Bench) -> None:
        """When that comes, nothing happens any more."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = await bench.enqueued(backend, queue, run_at=clock.now() + DELAY)
        assert await backend.run_now(job.id) is True
        claim = await bench.claim(backend, queue)
        await backend.complete(claim, record(claim))
        await bench.silent(backend, queue, wait=DELAY + QUIET)

    @scenario
    async def test_it_is_seen_as_queued(self, bench: Bench) -> None:
        """At once, from every instance."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        job = await bench.enqueued(backend, queue, run_at=clock.now() + FAR)
        assert await other.run_now(job.id) is True
        known = await backend.get(job.id)
        assert known is not None
        assert (known.state, known.run_at) == (JobState.QUEUED, 0.0)
        await bench.counted(backend, queue, queued=1, scheduled=0)

    @scenario
    async def test_the_next_attempt(self, bench: Bench) -> None:
        """Of a job that is retried: the attempt keeps its number."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.retry(claim, delay=FAR, payload=b"second")
        assert await backend.run_now(claim.job.id) is True
        again = await bench.claim(backend, queue)
        assert (again.job.id, again.job.attempt, again.job.payload) == (claim.job.id, 2, b"second")
        assert again.delivered == 1
        assert await backend.complete(again, record(again)) is Settled.DONE

    @scenario
    async def test_one_of_many_wins(self, bench: Bench) -> None:
        """And the job runs once."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        for _ in range(5):
            job = await bench.enqueued(backend, queue, run_at=clock.now() + FAR)
            won = await asyncio.gather(*(one.run_now(job.id) for one in (backend, other) for _ in range(8)))
            assert sorted(won) == [False] * 15 + [True]
            claim = await bench.claim(backend, queue)
            await backend.complete(claim, record(claim))
        await bench.silent(backend, queue)

    @scenario
    async def test_a_job_that_does_not_wait_for_a_time(self, bench: Bench) -> None:
        """Is left alone: queued, running, ended, unknown."""
        queue = bench.name()
        backend = await bench.open(queue)
        assert await backend.run_now(bench.job(queue).id) is False
        job = await bench.enqueued(backend, queue)
        assert await backend.run_now(job.id) is False
        claim = await bench.claim(backend, queue)
        assert await backend.run_now(job.id) is False
        await backend.complete(claim, record(claim))
        assert await backend.run_now(job.id) is False
        await bench.silent(backend, queue)

    @scenario
    async def test_racing_with_cancel(self, bench: Bench) -> None:
        """What was cancelled never runs, whoever came first."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        for _ in range(10):
            job = await bench.enqueued(backend, queue, run_at=clock.now() + FAR)
            result, _ = await asyncio.gather(other.cancel(job.id), backend.run_now(job.id))
            assert result is CancelResult.REMOVED
            known = await backend.get(job.id)
            assert known is not None
            assert known.state is JobState.CANCELLED
        await bench.silent(backend, queue)

    @scenario
    async def test_a_name_that_is_none(self, bench: Bench) -> None:
        """Is refused."""
        backend = await bench.open()
        with pytest.raises(ConfigurationError):
            await backend.run_now("no such.id")
