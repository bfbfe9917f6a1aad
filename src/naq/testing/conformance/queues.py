"""Whole queues: pausing, limiting, purging, counting; what the store holds."""

from __future__ import annotations

import asyncio
import os

import pytest

from naq import clock
from naq.backends.base import Backend, QueueStats
from naq.exceptions import ConfigurationError
from naq.testing.conformance.bench import QUIET, Bench, record, scenario


async def _stats(backend: Backend, queue: str) -> QueueStats:
    [stats] = await backend.stats([queue])
    assert stats.queue == queue
    return stats


class TestPause:
    """`pause` and `resume`."""

    @scenario
    async def test_nothing_is_handed_out(self, bench: Bench) -> None:
        """To no instance, also one opened later; after `resume` everything is there."""
        queue = bench.name()
        backend = await bench.open(queue)
        await (await bench.open()).pause(queue)
        job = await bench.enqueued(backend, queue)
        await bench.silent(backend, queue)
        late = await bench.open(queue)
        await bench.silent(late, queue)
        assert (await _stats(backend, queue)).paused
        await backend.resume(queue)
        assert (await bench.claim(late, queue)).job.id == job.id
        assert not (await _stats(backend, queue)).paused

    @scenario
    async def test_what_runs_goes_on(self, bench: Bench) -> None:
        """A claim taken before the pause is extended and settled as always."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.pause(queue)
        assert claim.job.id in (await backend.extend([claim], lease=bench.lease)).deadlines
        await backend.complete(claim, record(claim))
        await backend.resume(queue)

    @scenario
    async def test_a_waiting_fetch_stops_and_starts(self, bench: Bench) -> None:
        """A pause holds a fetch that waits already, and `resume` sets it going again."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        waiting = asyncio.ensure_future(backend.fetch([queue], limit=1, lease=bench.lease, wait=3600))
        await bench.harness.advance(QUIET)
        await other.pause(queue)
        job = await bench.enqueued(other, queue)
        await bench.harness.advance(QUIET)
        assert not waiting.done()
        await other.resume(queue)
        [claim] = await bench.passing(waiting)
        assert claim.job.id == job.id

    @scenario
    async def test_only_this_queue(self, bench: Bench) -> None:
        """Another one goes on."""
        held, free = bench.name(), bench.name()
        backend = await bench.open(held, free)
        await backend.pause(held)
        await bench.enqueued(backend, held)
        job = await bench.enqueued(backend, free)
        assert (await bench.claim(backend, held, free)).job.id == job.id
        await backend.resume(held)

    @scenario
    async def test_twice(self, bench: Bench) -> None:
        """Pausing what is paused and resuming what runs is no error."""
        queue = bench.name()
        backend = await bench.open(queue)
        await backend.resume(queue)
        await backend.pause(queue)
        await backend.pause(queue)
        await backend.resume(queue)
        await bench.claimed(backend, queue)


class TestLimit:
    """`limit`."""

    @scenario
    async def test_it_holds_over_all_instances(self, bench: Bench) -> None:
        """No more than so many are claimed, whoever asks; each end makes room for one."""
        queue = bench.name()
        one, two = await bench.open(queue), await bench.open(queue)
        await one.limit(queue, 3)
        await one.enqueue([bench.job(queue) for _ in range(10)])
        claims = await bench.fetch(one, queue, limit=2)
        while len(claims) < 3:
            claims += await bench.fetch(two, queue, limit=10)
        assert len(claims) == 3
        await bench.silent(one, queue)
        await bench.silent(two, queue)
        await one.complete(claims[0], record(claims[0]))
        assert len(await bench.fetch(two, queue, limit=10)) == 1
        await bench.silent(one, queue)
        assert (await _stats(two, queue)).limit == 3

    @scenario
    async def test_lifting_it(self, bench: Bench) -> None:
        """None: the rest comes."""
        queue = bench.name()
        backend = await bench.open(queue)
        await backend.limit(queue, 1)
        await backend.enqueue([bench.job(queue) for _ in range(5)])
        await bench.claim(backend, queue)
        await bench.silent(backend, queue)
        await backend.limit(queue, None)
        assert len(await bench.gather(backend, queue, count=4)) == 4
        assert (await _stats(backend, queue)).limit is None

    @scenario
    async def test_a_retry_or_release_makes_room(self, bench: Bench) -> None:
        """What no longer runs does not count."""
        queue = bench.name()
        backend = await bench.open(queue)
        await backend.limit(queue, 1)
        await bench.enqueued(backend, queue)
        second = await bench.enqueued(backend, queue)
        await backend.retry(await bench.claim(backend, queue), delay=3600)
        claim = await bench.claim(backend, queue)
        assert claim.job.id == second.id
        await backend.release(claim)
        assert (await bench.claim(backend, queue)).job.id == second.id

    @scenario
    async def test_less_than_one_is_refused(self, bench: Bench) -> None:
        """To hold a queue still there is `pause`."""
        queue = bench.name()
        backend = await bench.open(queue)
        for concurrency in (0, -1):
            with pytest.raises(ConfigurationError):
                await backend.limit(queue, concurrency)


class TestPurge:
    """`purge`."""

    @scenario
    async def test_it_removes_what_waits(self, bench: Bench) -> None:
        """Queued in every priority, scheduled and retrying; it says how many."""
        queue = bench.name()
        backend = await bench.open(queue)
        worker = await bench.open(queue)
        retried = await bench.claimed(worker, queue)
        await worker.retry(retried, delay=3600)
        jobs = [
            bench.job(queue),
            bench.job(queue, priority="high"),
            bench.job(queue, priority="low"),
            bench.job(queue, run_at=clock.now() + 3600),
        ]
        await backend.enqueue(jobs)
        assert await backend.purge(queue) == 5
        await bench.silent(backend, queue)
        for job in (retried.job, *jobs):
            assert await backend.get(job.id) is None
        assert await backend.purge(queue) == 0

    @scenario
    async def test_what_runs_goes_on(self, bench: Bench) -> None:
        """A running job is not touched."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await bench.enqueued(backend, queue)
        assert await backend.purge(queue) == 1
        await backend.complete(claim, record(claim))
        assert (await backend.wait(claim.job.id, timeout=5)).is_final

    @scenario
    async def test_only_this_queue(self, bench: Bench) -> None:
        """Also where another's name begins with it."""
        queue = bench.name()
        other = f"{queue}-2"
        backend = await bench.open(queue, other)
        await bench.enqueued(backend, queue)
        job = await bench.enqueued(backend, other)
        assert await backend.purge(queue) == 1
        assert (await bench.claim(backend, other)).job.id == job.id

    @scenario
    async def test_new_jobs_come_as_always(self, bench: Bench) -> None:
        """Purging is an act, not a state; a purged id may be used again."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = await bench.enqueued(backend, queue)
        await backend.purge(queue)
        [result] = await backend.enqueue([bench.job(queue, id=job.id)])
        assert not result.duplicate
        assert (await bench.claim(backend, queue)).job.id == job.id


class TestStats:
    """`stats`."""

    @scenario
    async def test_counts(self, bench: Bench) -> None:
        """Of what is queued, running, and waiting for a time."""
        queue = bench.name()
        backend = await bench.open(queue)
        await backend.enqueue([bench.job(queue, priority=priority) for priority in ("high", "normal", "low") * 2])
        await backend.enqueue([bench.job(queue, run_at=clock.now() + 3600) for _ in range(2)])
        claims = await bench.gather(backend, queue, count=3)
        await backend.retry(claims[0], delay=3600)
        await backend.complete(claims[1], record(claims[1]))
        # A store may learn of an end a moment after it was told of it.
        await bench.counted(backend, queue, queued=3, running=1, scheduled=3)
        assert await _stats(backend, queue) == QueueStats(queue, queued=3, running=1, scheduled=3)

    @scenario
    async def test_an_unknown_queue_is_empty(self, bench: Bench) -> None:
        """Zeros, not an error."""
        queue = bench.name()
        assert await _stats(await bench.open(), queue) == QueueStats(queue)

    @scenario
    async def test_all_known_queues(self, bench: Bench) -> None:
        """Where none is named, every queue that holds a job or was opened."""
        queues = [bench.name() for _ in range(3)]
        backend = await bench.open(*queues[:2])
        await bench.enqueued(backend, queues[2])
        assert set(queues) <= {stats.queue for stats in await backend.stats()}


class TestStorage:
    """`storage`."""

    @scenario
    async def test_what_is_stored_is_counted(self, bench: Bench) -> None:
        """The whole comes first, parts have names; both grow by a payload, and limits are of something."""
        queue = bench.name()
        backend = await bench.open(queue)
        before = await backend.storage()
        assert before[0].part == "", "the whole comes first"
        assert all(one.used >= 0 and (one.limit is None or one.limit > 0) for one in before)
        parts = [one.part for one in before[1:]]
        assert "" not in parts
        assert len(set(parts)) == len(parts)
        payload = os.urandom(10_000)  # which nothing makes smaller
        await backend.enqueue([bench.job(queue, payload=payload)])
        had = {one.part: one.used + len(payload) for one in before}

        async def grown() -> bool:
            after = await backend.storage()
            rest = [one.used >= had.get(one.part, len(payload)) for one in after[1:]]
            return after[0].used >= had[""] and (any(rest) or not rest)

        await bench.until(grown)  # how full it is may be a moment old
