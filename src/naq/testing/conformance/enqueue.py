"""Storing jobs: durable on return, in order, one job an id, all of a batch or a clear error."""

from __future__ import annotations

import asyncio

from naq import clock
from naq.job import JobState
from naq.testing.conformance.bench import Bench, record, scenario

RACERS = 50
BULK = 5_000


class TestEnqueue:
    """`enqueue`."""

    @scenario
    async def test_an_empty_batch_is_nothing(self, bench: Bench) -> None:
        """No jobs, no results, no error."""
        backend = await bench.open()
        assert await backend.enqueue([]) == []

    @scenario
    async def test_a_job_arrives_as_it_was_stored(self, bench: Bench) -> None:
        """Every field that a worker needs survives the trip."""
        queue = bench.name()
        backend = await bench.open(queue)
        headers = {"Naq-Tag-colour": "blue", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        job = await bench.enqueued(backend, queue, payload=b'{"v":1,"task":"a","args":[]}', headers=headers)
        claim = await bench.claim(backend, queue)
        assert (claim.job.id, claim.job.payload, claim.job.queue) == (job.id, job.payload, queue)
        assert (claim.job.priority, claim.job.attempt, claim.job.run) == ("normal", 1, 1)
        assert claim.job.headers == headers
        assert claim.delivered == 1

    @scenario
    async def test_bytes_are_not_interpreted(self, bench: Bench) -> None:
        """A payload of any bytes comes out as it went in."""
        queue = bench.name()
        backend = await bench.open(queue)
        payload = bytes(range(256)) + b"\r\n\r\nPUB x 1\r\n"
        job = await bench.enqueued(backend, queue, payload=payload)
        assert (await bench.claim(backend, queue)).job.payload == job.payload

    @scenario
    async def test_a_queue_needs_no_consumer(self, bench: Bench) -> None:
        """A job for a queue that nobody has opened waits for whoever opens it."""
        queue = bench.name()
        producer = await bench.open()
        job = await bench.enqueued(producer, queue)
        await producer.close()
        assert (await bench.claim(await bench.open(queue), queue)).job.id == job.id

    @scenario
    async def test_results_are_in_the_order_of_the_jobs(self, bench: Bench) -> None:
        """Also where some of them are duplicates."""
        queue = bench.name()
        backend = await bench.open(queue)
        taken = await bench.enqueued(backend, queue)
        jobs = [bench.job(queue), bench.job(queue, id=taken.id), bench.job(queue)]
        results = await backend.enqueue(jobs)
        assert [result.job_id for result in results] == [job.id for job in jobs]
        assert [result.duplicate for result in results] == [False, True, False]

    @scenario
    async def test_a_large_batch_is_stored_in_order(self, bench: Bench) -> None:
        """5,000 jobs in one call: every one of them, and one fetcher sees them oldest first."""
        queue = bench.name()
        backend = await bench.open(queue)
        jobs = [bench.job(queue, fresh=True) for _ in range(BULK)]
        results = await backend.enqueue(jobs)
        assert [result.job_id for result in results] == [job.id for job in jobs]
        claims = await bench.gather(backend, queue, count=BULK, limit=500)
        assert [claim.job.id for claim in claims] == [job.id for job in jobs]


class TestSameId:
    """The same job id is one job, for as long as the job or its record exists."""

    @scenario
    async def test_while_it_waits(self, bench: Bench) -> None:
        """The second is a duplicate, and one job runs: the first."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = await bench.enqueued(backend, queue)
        [again] = await backend.enqueue([bench.job(queue, id=job.id, payload=b"{}")])
        assert again.duplicate
        assert (await bench.claim(backend, queue)).job.payload == job.payload
        await bench.silent(backend, queue)

    @scenario
    async def test_in_one_batch(self, bench: Bench) -> None:
        """A batch that names an id twice holds one job."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = bench.job(queue)
        results = await backend.enqueue([job, job])
        assert [result.duplicate for result in results] == [False, True]
        assert len(await bench.fetch(backend, queue, limit=2)) == 1
        await bench.silent(backend, queue)

    @scenario
    async def test_while_it_runs(self, bench: Bench) -> None:
        """A running job's id is taken."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        [again] = await backend.enqueue([bench.job(queue, id=claim.job.id)])
        assert again.duplicate
        await bench.silent(backend, queue)

    @scenario
    async def test_while_it_is_scheduled(self, bench: Bench) -> None:
        """A job that waits for its time has its id; an earlier time does not replace it."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = await bench.enqueued(backend, queue, run_at=clock.now() + 3600)
        [again] = await backend.enqueue([bench.job(queue, id=job.id)])
        assert again.duplicate
        await bench.silent(backend, queue)

    @scenario
    async def test_while_it_is_retrying(self, bench: Bench) -> None:
        """Between two attempts the id is taken too."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.retry(claim, delay=3600)
        [again] = await backend.enqueue([bench.job(queue, id=claim.job.id)])
        assert again.duplicate
        await bench.silent(backend, queue)

    @scenario
    async def test_with_another_priority_or_time(self, bench: Bench) -> None:
        """The identity is the id alone."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = await bench.enqueued(backend, queue)
        results = await backend.enqueue(
            [bench.job(queue, id=job.id, priority="high"), bench.job(queue, id=job.id, run_at=clock.now() + 3600)]
        )
        assert [result.duplicate for result in results] == [True, True]
        assert (await bench.claim(backend, queue)).job.priority == "normal"
        await bench.silent(backend, queue)

    @scenario
    async def test_after_it_has_finished(self, bench: Bench) -> None:
        """It never runs again: a duplicate at once, or dropped by whoever claims it and looks it up."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.complete(claim, record(claim))
        [again] = await backend.enqueue([bench.job(queue, id=claim.job.id)])
        if not again.duplicate:
            second = await bench.claim(backend, queue)
            known = await backend.lookup(second)
            assert known is not None
            assert (known.state, known.worker) == (JobState.SUCCEEDED, "w1")
            await backend.drop(second)
        await bench.silent(backend, queue)
        final = await backend.get(claim.job.id)
        assert final is not None
        assert final.state is JobState.SUCCEEDED

    @scenario
    async def test_racing(self, bench: Bench) -> None:
        """Of 50 at once, over two instances, one is stored, and one job runs."""
        queue = bench.name()
        backends = [await bench.open(queue), await bench.open(queue)]
        job = bench.job(queue)
        stored = await asyncio.gather(*(backends[n % 2].enqueue([job]) for n in range(RACERS)))
        assert sum(not result.duplicate for [result] in stored) == 1
        await bench.claim(backends[0], queue)
        await bench.silent(backends[1], queue)


class TestDelay:
    """`run_at`."""

    @scenario
    async def test_it_waits_as_scheduled(self, bench: Bench) -> None:
        """Until its time a job is to be seen and not to be had."""
        queue = bench.name()
        backend = await bench.open(queue)
        when = clock.now() + 3600
        job = await bench.enqueued(backend, queue, run_at=when)
        known = await backend.get(job.id)
        assert known is not None
        assert known.state is JobState.SCHEDULED
        assert abs(known.run_at - when) < 1
        await bench.silent(backend, queue)

    @scenario
    async def test_it_is_never_early(self, bench: Bench) -> None:
        """And comes at its time, to a fetch that was waiting already."""
        queue = bench.name()
        backend = await bench.open(queue)
        when = clock.now() + 1.0
        job = await bench.enqueued(backend, queue, run_at=when)
        claim = await bench.claim(backend, queue, wait=1.0 + bench.slack)
        assert claim.job.id == job.id
        assert clock.now() >= when
        assert (claim.job.attempt, claim.delivered) == (1, 1)

    @scenario
    async def test_a_time_in_the_past_is_now(self, bench: Bench) -> None:
        """It runs at once."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = await bench.enqueued(backend, queue, run_at=clock.now() - 60)
        assert (await bench.claim(backend, queue)).job.id == job.id

    @scenario
    async def test_many_become_due_together(self, bench: Bench) -> None:
        """Every one of them comes."""
        queue = bench.name()
        backend = await bench.open(queue)
        when = clock.now() + 1.0
        jobs = [bench.job(queue, run_at=when, fresh=True) for _ in range(200)]
        await backend.enqueue(jobs)
        claims = await bench.gather(backend, queue, count=200)
        assert {claim.job.id for claim in claims} == {job.id for job in jobs}
