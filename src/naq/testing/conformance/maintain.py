"""Upkeep: safe from every worker at once, and without effect on what is healthy."""

from __future__ import annotations

import asyncio

from naq import clock
from naq.job import JobState
from naq.testing.conformance.bench import Bench, lapsing, record, scenario


class TestMaintain:
    """`maintain`."""

    @scenario
    async def test_what_is_healthy_stays_as_it_is(self, bench: Bench) -> None:
        """From ten tasks over two instances: nothing is repaired, lost, or run twice."""
        queue = bench.name()
        backends = [await bench.open(queue), await bench.open(queue)]
        backend = backends[0]
        running = await bench.claimed(backend, queue)
        queued = await bench.enqueued(backend, queue)
        scheduled = await bench.enqueued(backend, queue, run_at=clock.now() + 3600)
        await asyncio.gather(*(backends[n % 2].maintain() for n in range(10)))
        claim = await bench.claim(backend, queue)
        assert (claim.job.id, claim.delivered) == (queued.id, 1)
        await bench.silent(backend, queue)
        known = await backend.get(scheduled.id)
        assert known is not None
        assert known.state is JobState.SCHEDULED
        assert running.job.id in (await backend.extend([running], lease=bench.lease)).deadlines

    @lapsing
    async def test_beside_a_lapse(self, bench: Bench) -> None:
        """Upkeep and redelivery together still give one further run."""
        queue = bench.name()
        backend = await bench.open(queue)
        await bench.claimed(backend, queue)
        again = await bench.claim(backend, queue, wait=bench.lease + bench.slack)
        await asyncio.gather(*(backend.maintain(limit=10) for _ in range(5)))
        await backend.complete(again, record(again))
        await asyncio.gather(*(backend.maintain(limit=10) for _ in range(5)))
        await bench.silent(backend, queue)
