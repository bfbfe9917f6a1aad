"""A key that one job of a queue may have at a time, and jobs that give way to newer ones of their id."""

from __future__ import annotations

import asyncio

import pytest

from naq import clock
from naq.backends.base import Backend, CancelResult
from naq.exceptions import ConfigurationError
from naq.job import JobSpec, JobState
from naq.testing.conformance.bench import DELAY, Bench, record, scenario

RACERS = 50
LATER = 60.0  # seconds; a job that waits as long as the test runs


async def _store(backend: Backend, *jobs: JobSpec) -> list[tuple[str, bool]]:
    return [(result.job_id, result.duplicate) for result in await backend.enqueue(jobs)]


class TestUnique:
    """`JobSpec.key` and `scope`."""

    @scenario
    async def test_while_it_waits(self, bench: Bench) -> None:
        """The second is a duplicate, and says which job there is; queued or scheduled, whatever the priority."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        first = bench.job(queue, key="k1", fresh=True)
        later = bench.job(queue, key="k2", fresh=True, run_at=clock.now() + LATER)
        assert await _store(backend, first, later) == [(first.id, False), (later.id, False)]
        for scope in ("waiting", "active"):
            again = bench.job(queue, key="k1", fresh=True, scope=scope, priority="high")
            assert await _store(other, again) == [(first.id, True)]
            again = bench.job(queue, key="k2", fresh=True, scope=scope)
            assert await _store(other, again) == [(later.id, True)]
        assert (await bench.claim(backend, queue)).job.id == first.id
        await bench.silent(backend, queue)

    @scenario
    async def test_keys_and_queues_are_apart(self, bench: Bench) -> None:
        """Another key, another queue or none at all: another job. The worker sees the key."""
        queue, elsewhere = bench.name(), bench.name()
        backend = await bench.open(queue, elsewhere)
        jobs = [
            bench.job(queue, key="a", fresh=True),
            bench.job(queue, key="a-", fresh=True),
            bench.job(queue, key="A", fresh=True),
            bench.job(queue, fresh=True),
            bench.job(queue, fresh=True),
            bench.job(elsewhere, key="a", fresh=True),
        ]
        assert await _store(backend, *jobs) == [(job.id, False) for job in jobs]
        claims = [await bench.claim(backend, queue) for _ in range(5)]
        assert [(claim.job.id, claim.job.key) for claim in claims] == [(job.id, job.key) for job in jobs[:5]]

    @scenario
    async def test_while_it_runs(self, bench: Bench) -> None:
        """Taken for the scope "active", free for the scope "waiting"; once, for the next one waits then."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue, key="k", fresh=True)
        running = claim.job.id
        assert await _store(backend, bench.job(queue, key="k", fresh=True)) == [(running, True)]
        second = bench.job(queue, key="k", fresh=True, scope="waiting")
        assert await _store(backend, second) == [(second.id, False)]
        third = bench.job(queue, key="k", fresh=True, scope="waiting")
        assert await _store(backend, third) == [(second.id, True)]
        await backend.complete(claim, record(claim))
        assert (await bench.claim(backend, queue)).job.id == second.id

    @scenario
    async def test_when_it_has_ended(self, bench: Bench) -> None:
        """The key is free the moment the record is stored, however the job ended."""
        queue = bench.name()
        backend = await bench.open(queue)
        for state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED):
            claim = await bench.claimed(backend, queue, key="k", fresh=True)
            if state is JobState.SUCCEEDED:
                await backend.complete(claim, record(claim))
            else:
                await backend.discard(claim, record(claim, state))
        waiting = await bench.enqueued(backend, queue, key="k", fresh=True)
        assert await backend.cancel(waiting.id) is CancelResult.REMOVED
        await bench.enqueued(backend, queue, key="k", fresh=True)
        await backend.purge(queue)
        last = await bench.enqueued(backend, queue, key="k", fresh=True)
        found = await backend.get(last.id)
        assert found is not None
        assert (found.state, found.key) == (JobState.QUEUED, "k")

    @scenario
    async def test_through_retry_and_release(self, bench: Bench) -> None:
        """It keeps its key from one attempt to the next, also while it waits for its time."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue, key="k", fresh=True)
        job_id = claim.job.id

        async def taken() -> None:
            for scope in ("waiting", "active"):
                assert await _store(backend, bench.job(queue, key="k", fresh=True, scope=scope)) == [(job_id, True)]

        await backend.retry(claim, delay=DELAY)
        await taken()
        claim = await bench.claim(backend, queue)
        assert (claim.job.id, claim.job.key, claim.job.attempt) == (job_id, "k", 2)
        await backend.release(claim, delay=DELAY)
        await taken()
        claim = await bench.claim(backend, queue)
        assert (claim.job.id, claim.job.key) == (job_id, "k")
        await backend.release(claim)
        claim = await bench.claim(backend, queue)
        assert (claim.job.id, claim.job.key) == (job_id, "k")
        assert await _store(backend, bench.job(queue, key="k", fresh=True)) == [(job_id, True)]
        await backend.complete(claim, record(claim))
        await bench.claimed(backend, queue, key="k", fresh=True)

    @scenario
    async def test_run_again(self, bench: Bench) -> None:
        """A failed job that a person runs again has its key again."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue, key="k", fresh=True)
        await backend.discard(claim, record(claim, JobState.FAILED))
        assert await backend.requeue(claim.job.id)
        assert await _store(backend, bench.job(queue, key="k", fresh=True)) == [(claim.job.id, True)]
        again = await bench.claim(backend, queue)
        assert (again.job.id, again.job.key, again.job.run) == (claim.job.id, "k", 2)

    @scenario
    async def test_racing(self, bench: Bench) -> None:
        """Of many producers one wins, and all are told of its job."""
        queue = bench.name()
        backends = [await bench.open(queue) for _ in range(3)]
        jobs = [bench.job(queue, key="k", fresh=True) for _ in range(RACERS)]
        stored = await asyncio.gather(*(_store(backends[n % 3], job) for n, job in enumerate(jobs)))
        winners = [job_id for [(job_id, duplicate)] in stored if not duplicate]
        assert len(winners) == 1, f"{len(winners)} of {RACERS} producers made a job"
        winner = winners[0]
        assert {job_id for [(job_id, _)] in stored} == {winner}
        assert (await bench.claim(backends[0], queue)).job.id == winner
        await bench.silent(backends[0], queue)

    @scenario
    async def test_in_a_batch(self, bench: Bench) -> None:
        """The first of a batch has the key, however large the batch is; the others are told."""
        queue = bench.name()
        backend = await bench.open(queue)
        plain = [bench.job(queue, fresh=True) for _ in range(600)]
        keyed = [bench.job(queue, key="k", fresh=True) for _ in range(3)]
        stored = await _store(backend, *plain[:300], keyed[0], *plain[300:], *keyed[1:])
        assert stored[300] == (keyed[0].id, False)
        assert stored[-2:] == [(keyed[0].id, True), (keyed[0].id, True)]
        assert sum(duplicate for _, duplicate in stored) == 2
        await bench.counted(backend, queue, queued=601)

    @scenario
    async def test_refused(self, bench: Bench) -> None:
        """A key that is no name; a key and a chosen id, which both say what is the same."""
        queue = bench.name()
        backend = await bench.open(queue)
        for key in ("-", "a.b", "*", ">", "a b", "x" * 65):
            with pytest.raises(ConfigurationError):
                await backend.enqueue([bench.job(queue, key=key, fresh=True)])
        with pytest.raises(ConfigurationError, match="chosen id"):
            await backend.enqueue([bench.job(queue, key="k")])
        with pytest.raises(ConfigurationError, match="scope"):
            await backend.enqueue([bench.job(queue, key="k", fresh=True, scope="always")])


class TestReplace:
    """`JobSpec.replace`."""

    @scenario
    async def test_a_scheduled_job(self, bench: Bench) -> None:
        """The newer one takes its place, arguments, time and all; it runs once."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        first = bench.job(queue, run_at=clock.now() + LATER, payload=b'{"v":1,"task":"a"}', replace=True)
        assert await _store(backend, first) == [(first.id, False)]
        second = bench.job(queue, id=first.id, run_at=clock.now() + DELAY, payload=b'{"v":1,"task":"b"}', replace=True)
        assert await _store(other, second) == [(first.id, False)]
        claim = await bench.claim(backend, queue)
        assert (claim.job.id, claim.job.payload) == (first.id, second.payload)
        await backend.complete(claim, record(claim))
        await bench.silent(backend, queue, wait=DELAY)

    @scenario
    async def test_any_other_job(self, bench: Bench) -> None:
        """Stays as it is: one in line, one that runs, one that will be tried again, one that has ended."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = await bench.enqueued(backend, queue)
        newer = bench.job(queue, id=job.id, run_at=clock.now() + LATER, replace=True)
        assert await _store(backend, newer) == [(job.id, True)]
        claim = await bench.claim(backend, queue)
        assert await _store(backend, newer) == [(job.id, True)]
        await backend.retry(claim, delay=DELAY)
        assert await _store(backend, newer) == [(job.id, True)]
        claim = await bench.claim(backend, queue)
        await backend.complete(claim, record(claim))
        assert await _store(backend, newer) == [(job.id, True)]
        found = await backend.get(job.id)
        assert found is not None
        assert found.state is JobState.SUCCEEDED
        await bench.silent(backend, queue)

    @scenario
    async def test_racing(self, bench: Bench) -> None:
        """Many at once: one job, and the arguments are those of one of them."""
        queue = bench.name()
        backends = [await bench.open(queue) for _ in range(3)]
        job_id, due = bench.job(queue).id, clock.now() + DELAY
        jobs = [
            bench.job(queue, id=job_id, run_at=due, payload=b'{"v":1,"task":"n%d"}' % number, replace=True)
            for number in range(12)
        ]
        stored = await asyncio.gather(*(_store(backends[n % 3], job) for n, job in enumerate(jobs)))
        assert {answer for [answer] in stored} <= {(job_id, False), (job_id, True)}
        claim = await bench.claim(backends[0], queue)
        assert claim.job.payload in {job.payload for job in jobs}
        await bench.silent(backends[0], queue)
