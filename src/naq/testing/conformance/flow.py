"""Jobs that wait for other jobs: stored, let go by one, ended by one, and looked at by the thousand."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from naq import clock
from naq.backends.base import Backend, CancelResult, Settled
from naq.exceptions import ConfigurationError
from naq.job import JobRecord, JobSpec, JobState
from naq.testing.conformance.bench import DELAY, Bench, record, scenario

FAR = 3600.0  # seconds; a time that no test sees come


def _final(job: JobSpec, state: JobState, worker: str = "w1") -> JobRecord:
    return JobRecord(
        id=job.id, state=state, queue=job.queue, priority=job.priority, worker=worker, finished_at=clock.now(),
        reason="a parent did not succeed",
    )  # fmt: skip


async def _all(backend: Backend, limit: int, *, queue: str | None = None, blocked: bool = False) -> list[JobSpec]:
    found: list[JobSpec] = []
    after = None
    while page := await backend.unfinished(queue=queue, blocked=blocked, after=after, limit=limit):
        assert len(page) <= limit
        after = page[-1][0]
        found += [job for _, job in page]
    return found


class TestUnblock:
    """`enqueue` of a blocked job, and `unblock`."""

    @scenario
    async def test_it_waits_until_it_is_let_go(self, bench: Bench) -> None:
        """Then it comes out as it was, and once."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        job = await bench.enqueued(
            backend, queue, blocked=True, priority="high", headers={"traceparent": "00-ab-cd-01"}, fresh=True
        )
        await bench.silent(backend, queue)
        known = await other.get(job.id)
        assert known is not None
        assert (known.state, known.run_at) == (JobState.BLOCKED, 0.0)
        assert await other.unblock(job.id) is True
        claim = await bench.claim(backend, queue)
        assert claim.delivered == 1
        assert claim.job == replace(job, blocked=False)
        assert await backend.complete(claim, record(claim)) is Settled.DONE
        assert await backend.unblock(job.id) is False
        await bench.silent(backend, queue)

    @scenario
    async def test_a_time_of_its_own(self, bench: Bench) -> None:
        """Counts once it is let go; one that has passed by then does not matter."""
        queue = bench.name()
        backend = await bench.open(queue)
        later = await bench.enqueued(backend, queue, blocked=True, run_at=clock.now() + DELAY)
        assert await backend.unblock(later.id) is True
        known = await backend.get(later.id)
        assert known is not None
        assert known.state is JobState.SCHEDULED
        begin = clock.now()
        claim = await bench.claim(backend, queue)
        assert claim.job.id == later.id
        assert clock.now() >= (later.run_at or 0.0) > begin - DELAY
        await backend.complete(claim, record(claim))
        passed = await bench.enqueued(backend, queue, blocked=True, run_at=clock.now() + 0.01)
        await bench.silent(backend, queue)
        assert await backend.unblock(passed.id) is True
        assert (await bench.claim(backend, queue)).job.id == passed.id

    @scenario
    async def test_one_of_many_wins(self, bench: Bench) -> None:
        """And the job runs once."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        for run_at in (None, None, None, clock.now() + FAR):
            job = await bench.enqueued(backend, queue, blocked=True, run_at=run_at)
            won = await asyncio.gather(*(one.unblock(job.id) for one in (backend, other) for _ in range(8)))
            assert sorted(won) == [False] * 15 + [True]
            if run_at is None:
                claim = await bench.claim(backend, queue)
                await backend.complete(claim, record(claim))
        await bench.silent(backend, queue)

    @scenario
    async def test_it_is_ended(self, bench: Bench) -> None:
        """With a record: it never runs, who waits for it is told, and a failed one is a dead letter."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        for state in (JobState.FAILED, JobState.CANCELLED):
            job = await bench.enqueued(backend, queue, blocked=True)
            waiting = asyncio.ensure_future(backend.wait(job.id, timeout=3600))
            assert await other.unblock(job.id, _final(job, state)) is True
            assert (await bench.passing(waiting)).state is state
            assert await other.unblock(job.id, _final(job, state, "w2")) is False
            assert await other.unblock(job.id) is False
            letter = await other.letter(job.id)
            assert (letter is not None) is (state is JobState.FAILED)
            if letter is not None:
                assert (letter.kind, letter.queue, letter.payload) == ("failed", queue, job.payload)
        await bench.silent(backend, queue)

    @scenario
    async def test_one_of_many_ends_it(self, bench: Bench) -> None:
        """The first record stays."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        job = await bench.enqueued(backend, queue, blocked=True)
        ends = [_final(job, JobState.FAILED, f"w{n}") for n in range(6)]
        won = await asyncio.gather(*((backend, other)[n % 2].unblock(job.id, end) for n, end in enumerate(ends)))
        [winner] = [end for end, did in zip(ends, won, strict=True) if did]
        known = await backend.get(job.id)
        assert known is not None
        assert known.worker == winner.worker
        assert await backend.letter(job.id) is not None
        await bench.silent(backend, queue)

    @scenario
    async def test_a_dead_one_runs_again(self, bench: Bench) -> None:
        """In line, as a new run: whom it waited for does not matter any more."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = await bench.enqueued(backend, queue, blocked=True, run_at=clock.now() + FAR)
        await backend.unblock(job.id, _final(job, JobState.FAILED))
        assert await backend.requeue(job.id) is True
        claim = await bench.claim(backend, queue)
        assert (claim.job.id, claim.job.run, claim.job.blocked, claim.job.run_at) == (job.id, 2, False, None)

    @scenario
    async def test_cancelled_it_never_runs(self, bench: Bench) -> None:
        """Whoever came first."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        job = await bench.enqueued(backend, queue, blocked=True)
        assert await other.cancel(job.id) is CancelResult.REMOVED
        assert await backend.unblock(job.id) is False
        for _ in range(10):
            job = await bench.enqueued(backend, queue, blocked=True, run_at=clock.now() + FAR)
            result, _ = await asyncio.gather(other.cancel(job.id), backend.unblock(job.id))
            assert result is CancelResult.REMOVED
            known = await backend.get(job.id)
            assert known is not None
            assert known.state is JobState.CANCELLED
        await bench.silent(backend, queue)

    @scenario
    async def test_the_same_id_is_one_job(self, bench: Bench) -> None:
        """Blocked or not."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = await bench.enqueued(backend, queue, blocked=True)
        for again in (bench.job(queue, id=job.id), bench.job(queue, id=job.id, blocked=True)):
            [result] = await backend.enqueue([again])
            assert result.duplicate
        await bench.silent(backend, queue)

    @scenario
    async def test_a_job_that_is_not_blocked(self, bench: Bench) -> None:
        """Is left alone."""
        queue = bench.name()
        backend = await bench.open(queue)
        assert await backend.unblock(bench.job(queue).id) is False
        job = await bench.enqueued(backend, queue)
        later = await bench.enqueued(backend, queue, run_at=clock.now() + FAR)
        for each in (job, later):
            assert await backend.unblock(each.id) is False
            assert await backend.unblock(each.id, _final(each, JobState.FAILED)) is False
        claim = await bench.claim(backend, queue)
        assert claim.job.id == job.id
        assert await backend.unblock(job.id, _final(job, JobState.FAILED)) is False
        assert await backend.complete(claim, record(claim)) is Settled.DONE
        with pytest.raises(ConfigurationError):
            await backend.unblock("no such.id")

    @scenario
    async def test_it_is_counted_and_purged(self, bench: Bench) -> None:
        """As blocked."""
        queue = bench.name()
        backend = await bench.open(queue)
        jobs = [await bench.enqueued(backend, queue, blocked=True) for _ in range(3)]
        await backend.unblock(jobs[0].id)
        await bench.counted(backend, queue, queued=1, scheduled=0, blocked=2, running=0)
        await bench.listed(backend, queue, *(job.id for job in jobs[:0:-1]), states={JobState.BLOCKED})
        assert await backend.purge(queue) == 3
        assert await backend.unblock(jobs[1].id) is False
        await bench.counted(backend, queue, queued=0, blocked=0)


class TestFinals:
    """`finals` and `specs`."""

    @scenario
    async def test_ended_and_unfinished(self, bench: Bench) -> None:
        """Each in one of the two, in whatever queue; who is unknown is in none."""
        queue, second = bench.name(), bench.name()
        backend, other = await bench.open(queue, second), await bench.open()
        done, failed = await bench.claimed(backend, queue), await bench.claimed(backend, second)
        await backend.complete(done, record(done))
        await backend.discard(failed, record(failed, JobState.FAILED))
        running = await bench.claimed(backend, queue)
        queued = await bench.enqueued(backend, queue)
        later = await bench.enqueued(backend, second, run_at=clock.now() + FAR)
        blocked = await bench.enqueued(backend, second, blocked=True, headers={"Naq-Tag-a": "b"})
        ended, open_ones = {done.job.id, failed.job.id}, [running.job, queued, later, blocked]
        ids = [*ended, *(job.id for job in open_ones), bench.job(queue).id]
        finals = await other.finals([*ids, *ids])
        assert finals == {job_id: await backend.get(job_id) for job_id in ended}

        async def as_stored() -> bool:  # what has just ended may still be seen
            return (await other.specs(ids)).keys() == {job.id for job in open_ones}

        await bench.until(as_stored)
        specs = await other.specs(ids)
        assert specs[blocked.id] == blocked
        assert [specs[job.id].payload for job in open_ones] == [job.payload for job in open_ones]
        assert specs[later.id].run_at == pytest.approx(later.run_at, abs=1e-3)
        assert [specs[job.id].blocked for job in open_ones] == [False, False, False, True]
        assert await other.finals([]) == {}
        assert await other.specs([]) == {}

    @scenario
    async def test_run_again(self, bench: Bench) -> None:
        """Its record is still the last word, until the next run has ended."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.discard(claim, record(claim, JobState.FAILED))
        await backend.requeue(claim.job.id)
        assert (await backend.finals([claim.job.id]))[claim.job.id].state is JobState.FAILED
        again = await bench.claim(backend, queue)
        await backend.complete(again, record(again))
        assert (await backend.finals([claim.job.id]))[claim.job.id].run == 2

    @scenario
    async def test_thousands(self, bench: Bench) -> None:
        """At once, in any number."""
        queue = bench.name()
        backend = await bench.open(queue)
        jobs = [bench.job(queue, fresh=True) for _ in range(2500)]
        await backend.enqueue(jobs)
        assert (await backend.specs([job.id for job in jobs])).keys() == {job.id for job in jobs}
        ended = jobs[::50]
        await asyncio.gather(*(backend.cancel(job.id) for job in ended))
        assert (await backend.finals([job.id for job in jobs])).keys() == {job.id for job in ended}

    @scenario
    async def test_names_that_are_none(self, bench: Bench) -> None:
        """Are refused."""
        backend = await bench.open()
        for call in (backend.finals(["a.b"]), backend.specs(["*"]), backend.unfinished(queue="a b")):
            with pytest.raises(ConfigurationError):
                await call


class TestUnfinished:
    """`unfinished`: page by page, all that waits or runs."""

    @scenario
    async def test_all_in_pages(self, bench: Bench) -> None:
        """Each once, as long as nothing moves."""
        queue = bench.name()
        backend = await bench.open(queue)
        running = await bench.claimed(backend, queue)
        done = await bench.claimed(backend, queue)
        await backend.complete(done, record(done))
        later = await bench.enqueued(backend, queue, run_at=clock.now() + FAR)
        blocked = [await bench.enqueued(backend, queue, blocked=True) for _ in range(5)]
        queued = [await bench.enqueued(backend, queue) for _ in range(4)]

        async def seen() -> bool:
            found = await _all(backend, 3, queue=queue)
            return [job.id for job in found] == [job.id for job in (running.job, later, *blocked, *queued)]

        await bench.until(seen)
        assert await _all(backend, 2, queue=queue, blocked=True) == blocked
        everywhere = await _all(backend, 1000, blocked=True)
        assert [job for job in everywhere if job.queue == queue] == blocked
        assert {job.id for job in await _all(backend, 1000)} >= {running.job.id, later.id, queued[0].id}
        assert await backend.unfinished(queue=bench.name()) == []

    @scenario
    async def test_while_they_leave(self, bench: Bench) -> None:
        """What stays is not left out."""
        queue = bench.name()
        backend = await bench.open(queue)
        jobs = [await bench.enqueued(backend, queue, blocked=True) for _ in range(20)]
        seen: list[str] = []
        after = None
        while page := await backend.unfinished(queue=queue, blocked=True, after=after, limit=4):
            after = page[-1][0]
            seen += [job.id for _, job in page]
            await backend.unblock(jobs[len(seen) - 3].id)
            await backend.cancel(jobs[len(seen) - 1].id)
        assert seen == [job.id for job in jobs]
