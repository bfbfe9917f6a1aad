"""Claiming jobs: order, priorities, waiting, and each job to one worker."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from naq import clock
from naq.backends.base import Backend
from naq.testing.conformance.bench import QUIET, Bench, record, scenario

FETCHERS = 8
MANY = 2_000


class TestFetch:
    """`fetch`."""

    @scenario
    async def test_limit_zero_touches_nothing(self, bench: Bench) -> None:
        """It returns at once, even though it might wait, and no job counts as delivered."""
        queue = bench.name()
        backend = await bench.open(queue)
        await bench.enqueued(backend, queue)
        assert await backend.fetch([queue], limit=0, lease=bench.lease, wait=3600) == []
        assert (await bench.claim(backend, queue)).delivered == 1

    @scenario
    async def test_no_queues_is_nothing(self, bench: Bench) -> None:
        """Nothing asked, nothing given, at once."""
        backend = await bench.open()
        assert await backend.fetch([], limit=1, lease=bench.lease, wait=3600) == []

    @scenario
    async def test_at_most_limit(self, bench: Bench) -> None:
        """Never more than were asked for, and the rest stays for others."""
        queue = bench.name()
        backend = await bench.open(queue)
        await backend.enqueue([bench.job(queue) for _ in range(5)])
        claims = await bench.gather(backend, queue, count=3, limit=3)
        assert len(claims) == 3
        assert len(await bench.gather(await bench.open(queue), queue, count=2)) == 2

    @scenario
    async def test_oldest_first(self, bench: Bench) -> None:
        """One queue, one priority, no failure: the order they were stored in."""
        queue = bench.name()
        backend = await bench.open(queue)
        jobs = [await bench.enqueued(backend, queue) for _ in range(20)]
        claims = await bench.gather(backend, queue, count=20, limit=7)
        assert [claim.job.id for claim in claims] == [job.id for job in jobs]

    @scenario
    async def test_an_empty_queue_ends_the_wait(self, bench: Bench) -> None:
        """Nothing to have: an empty list after `wait`, and not before."""
        queue = bench.name()
        backend = await bench.open(queue)
        before = clock.monotonic()
        await bench.silent(backend, queue)
        assert clock.monotonic() - before >= QUIET * 0.9

    @scenario
    async def test_a_waiting_fetch_is_woken(self, bench: Bench) -> None:
        """A job that arrives while a fetch waits goes to it, long before the wait is over."""
        queue = bench.name()
        backend = await bench.open(queue)
        producer = await bench.open()
        waiting = asyncio.ensure_future(backend.fetch([queue], limit=1, lease=bench.lease, wait=3600))
        await bench.harness.advance(QUIET)
        assert not waiting.done()
        job = await bench.enqueued(producer, queue)
        [claim] = await bench.passing(waiting)
        assert claim.job.id == job.id

    @scenario
    async def test_a_waiting_fetch_is_woken_from_another_thread(self, bench: Bench) -> None:
        """Instances in other threads and event loops are like those of other processes."""
        queue = bench.name()
        backend = await bench.open(queue)
        waiting = asyncio.ensure_future(backend.fetch([queue], limit=1, lease=bench.lease, wait=3600))
        job = bench.job(queue)
        await bench.elsewhere(lambda other: other.enqueue([job]))
        [claim] = await bench.passing(waiting)
        assert claim.job.id == job.id

    @scenario
    async def test_several_queues(self, bench: Bench) -> None:
        """One fetch may serve several queues, and a full one does not starve another."""
        queues = [bench.name() for _ in range(3)]
        backend = await bench.open(*queues)
        await backend.enqueue([bench.job(queues[0], fresh=True) for _ in range(60)])
        await backend.enqueue([bench.job(queue, fresh=True) for queue in queues[1:] for _ in range(5)])
        claims = await bench.gather(backend, *queues, count=40, limit=10)
        assert Counter(claim.job.queue for claim in claims) == {queues[0]: 30, queues[1]: 5, queues[2]: 5}

    @scenario
    async def test_only_the_queues_asked_for(self, bench: Bench) -> None:
        """Others are left alone."""
        mine, other = bench.name(), bench.name()
        backend = await bench.open(mine, other)
        await bench.enqueued(backend, other)
        await bench.silent(backend, mine)

    @scenario
    async def test_a_cancelled_fetch_loses_nothing(self, bench: Bench) -> None:
        """A fetch given up while it waited leaves the next job to the next fetch."""
        queue = bench.name()
        backend = await bench.open(queue)
        waiting = asyncio.ensure_future(backend.fetch([queue], limit=1, lease=bench.lease, wait=3600))
        await bench.harness.advance(QUIET)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        job = await bench.enqueued(backend, queue)
        claim = await bench.claim(backend, queue)
        assert (claim.job.id, claim.delivered) == (job.id, 1)

    @scenario
    async def test_every_job_goes_to_one_worker(self, bench: Bench) -> None:
        """8 fetchers on 2,000 jobs: each job once, none left."""
        queue = bench.name()
        producer = await bench.open(queue)
        jobs = [bench.job(queue, fresh=True) for _ in range(MANY)]
        await producer.enqueue(jobs)
        seen: Counter[str] = Counter()

        async def drain(backend: Backend) -> None:
            while seen.total() < MANY:
                for claim in await backend.fetch([queue], limit=25, lease=bench.lease, wait=QUIET):
                    seen[claim.job.id] += 1
                    await backend.complete(claim, record(claim))

        backends = [await bench.open(queue) for _ in range(FETCHERS)]
        await bench.passing(asyncio.gather(*(drain(backend) for backend in backends)), within=90)
        assert seen == Counter(job.id for job in jobs)
        await bench.silent(producer, queue)


class TestPriorities:
    """Three lanes: high, normal, low."""

    @scenario
    async def test_higher_ones_are_preferred(self, bench: Bench) -> None:
        """With work in every lane a higher one gets more, and the lowest still gets some."""
        queue = bench.name()
        backend = await bench.open(queue)
        await _fill(bench, backend, queue, 200)  # so many that one pull which is answered late turns nothing round
        first = Counter(claim.job.priority for claim in await bench.gather(backend, queue, count=200, limit=10))
        assert first["high"] > first["normal"] > first["low"] >= 1

    @scenario
    async def test_one_by_one_too(self, bench: Bench) -> None:
        """The preference does not depend on how many are fetched at once."""
        queue = bench.name()
        backend = await bench.open(queue)
        await _fill(bench, backend, queue, 40)
        first = Counter(claim.job.priority for claim in await bench.gather(backend, queue, count=40, limit=1))
        assert first["high"] > first["low"] >= 1

    @scenario
    async def test_an_idle_lane_costs_the_others_nothing(self, bench: Bench) -> None:
        """Where there is only low work, low work is done."""
        queue = bench.name()
        backend = await bench.open(queue)
        await backend.enqueue([bench.job(queue, priority="low") for _ in range(30)])
        claims = await bench.gather(backend, queue, count=30, limit=30)
        assert all(claim.job.priority == "low" for claim in claims)

    @scenario
    async def test_a_retry_keeps_its_priority(self, bench: Bench) -> None:
        """And so does a release."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue, priority="high")
        await backend.retry(claim, delay=0.1)
        claim = await bench.claim(backend, queue)
        assert claim.job.priority == "high"
        await backend.release(claim)
        assert (await bench.claim(backend, queue)).job.priority == "high"


async def _fill(bench: Bench, backend: Backend, queue: str, each: int) -> None:
    await backend.enqueue(
        [bench.job(queue, priority=priority, fresh=True) for priority in ("low", "normal", "high") for _ in range(each)]
    )
