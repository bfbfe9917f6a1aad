"""Moving jobs that wait to another queue."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from naq import clock
from naq.backends.base import Backend, CancelResult, Settled
from naq.exceptions import ConfigurationError, PayloadTooLarge
from naq.job import JobSpec, JobState
from naq.testing.conformance.bench import DELAY, QUIET, Bench, record, scenario

FAR = 3600.0  # seconds; a time that no test sees come


async def pairs(bench: Bench, backend: Backend, ids: Sequence[str], to: str) -> list[tuple[JobSpec, JobSpec]]:
    """What `move` is asked for: the jobs as they are stored, and as they are to be."""

    async def all_of() -> dict[str, JobSpec]:
        found = await backend.specs(ids)
        return found if len(found) == len(ids) else {}

    specs = await bench.until(all_of)  # a replica may be behind for a moment
    return [(specs[job_id], replace(specs[job_id], queue=to)) for job_id in ids]


async def move(bench: Bench, backend: Backend, ids: Sequence[str], to: str) -> None:
    """Move all of `ids`; fails if some do not, and asks again where a replica was behind."""
    left = list(ids)

    async def all_moved() -> bool:
        nonlocal left
        done = await backend.move(await pairs(bench, backend, left, to))
        left = [job_id for job_id, is_done in zip(left, done, strict=True) if not is_done]
        return not left

    await bench.until(all_moved)


async def counted(bench: Bench, backend: Backend, *wanted: tuple[str, int, int, int]) -> None:
    """Wait until each queue, given by its name, has so many jobs queued, scheduled and blocked."""

    async def so() -> bool:
        stats = await backend.stats([queue for queue, *_ in wanted])
        return [(each.queue, each.queued, each.scheduled, each.blocked) for each in stats] == list(wanted)

    await bench.until(so)


class TestMove:
    """`move`: what waits does so in another queue, and is else as it was."""

    @scenario
    async def test_jobs_in_line(self, bench: Bench) -> None:
        """With priority, headers and payload; they come out there, in their order, behind those there."""
        here, there = bench.name(), bench.name()
        backend, other = await bench.open(here, there), await bench.open()
        first = await bench.enqueued(backend, there)
        jobs = [await bench.enqueued(backend, here, headers={"Naq-Tag-n": str(n)}, fresh=n > 1) for n in range(4)]
        high = await bench.enqueued(backend, here, priority="high", payload=b"high")
        asked = await pairs(bench, other, [job.id for job in jobs], there)
        asked[1] = (asked[1][0], replace(asked[1][1], payload=b"other"))
        assert await other.move(asked) == [True] * 4
        await move(bench, other, [high.id], there)
        known = await backend.get(jobs[0].id)
        assert known is not None
        assert (known.state, known.queue, known.tags) == (JobState.QUEUED, there, {"n": "0"})
        await counted(bench, backend, (here, 0, 0, 0), (there, 6, 0, 0))
        claims = await bench.gather(backend, there, count=6)
        out = [claim.job for claim in claims if claim.job.priority == "normal"]
        assert [job.id for job in out] == [first.id, *(job.id for job in jobs)]
        assert [job.headers for job in out[1:]] == [{"Naq-Tag-n": str(n)} for n in range(4)]
        assert [job.payload for job in out[1:3]] == [jobs[0].payload, b"other"]
        [urgent] = [claim.job for claim in claims if claim.job.priority == "high"]
        assert (urgent.id, urgent.payload, urgent.queue) == (high.id, b"high", there)
        for claim in claims:
            assert (claim.delivered, claim.job.attempt) == (1, 1)
            assert await backend.lookup(claim) is None
            assert await backend.complete(claim, record(claim)) is Settled.DONE
        await bench.silent(backend, here, there)

    @scenario
    async def test_a_scheduled_job(self, bench: Bench) -> None:
        """It keeps its time, and runs then, there."""
        here, there = bench.name(), bench.name()
        backend = await bench.open(here, there)
        due = clock.now() + DELAY
        job = await bench.enqueued(backend, here, run_at=due, priority="low")
        await move(bench, backend, [job.id], there)
        known = await backend.get(job.id)
        assert known is not None
        assert (known.state, known.queue, known.priority) == (JobState.SCHEDULED, there, "low")
        assert abs(known.run_at - due) < 0.001
        claim = await bench.claim(backend, here, there)
        assert clock.now() >= due
        assert (claim.job.id, claim.job.queue) == (job.id, there)
        await backend.complete(claim, record(claim))
        await bench.silent(backend, here, there)

    @scenario
    async def test_the_next_attempt(self, bench: Bench) -> None:
        """Of a job that is retried: with its number, payload and reason."""
        here, there = bench.name(), bench.name()
        backend = await bench.open(here, there)
        claim = await bench.claimed(backend, here)
        await backend.retry(claim, delay=FAR, payload=b"second", reason="it was down")

        async def retrying() -> bool:
            spec = (await backend.specs([claim.job.id])).get(claim.job.id)
            return spec is not None and spec.attempt == 2

        await bench.until(retrying)
        await move(bench, backend, [claim.job.id], there)
        known = await backend.get(claim.job.id)
        assert known is not None
        assert (known.state, known.queue, known.attempt) == (JobState.RETRYING, there, 2)
        assert known.reason == "it was down"
        assert await backend.run_now(claim.job.id) is True
        again = await bench.claim(backend, there)
        assert (again.job.id, again.job.attempt, again.job.payload) == (claim.job.id, 2, b"second")
        assert await backend.complete(again, record(again)) is Settled.DONE
        await bench.silent(backend, here, there)

    @scenario
    async def test_a_blocked_job(self, bench: Bench) -> None:
        """It waits for the same jobs there, and for its time after that."""
        here, there = bench.name(), bench.name()
        backend = await bench.open(here, there)
        plain = await bench.enqueued(backend, here, blocked=True)
        timed = await bench.enqueued(backend, here, blocked=True, run_at=clock.now() + FAR)
        await move(bench, backend, [plain.id, timed.id], there)
        await counted(bench, backend, (here, 0, 0, 0), (there, 0, 0, 2))
        assert await backend.unblock(plain.id) is True
        assert await backend.unblock(timed.id) is True
        known = await backend.get(timed.id)
        assert known is not None
        assert (known.state, known.queue) == (JobState.SCHEDULED, there)
        assert abs(known.run_at - (timed.run_at or 0)) < 0.001
        claim = await bench.claim(backend, there)
        assert claim.job.id == plain.id
        await backend.complete(claim, record(claim))
        await bench.silent(backend, here, there)

    @scenario
    async def test_its_key(self, bench: Bench) -> None:
        """Goes along; a job whose key somebody has there stays."""
        here, there = bench.name(), bench.name()
        backend = await bench.open(here, there)
        [first] = await backend.enqueue([bench.job(here, fresh=True, key="k")])
        [timer] = await backend.enqueue([bench.job(here, fresh=True, key="t", run_at=clock.now() + FAR)])
        await move(bench, backend, [first.job_id, timer.job_id], there)
        for key, holder in (("k", first), ("t", timer)):
            [again] = await backend.enqueue([bench.job(there, fresh=True, key=key)])
            assert (again.duplicate, again.job_id) == (True, holder.job_id)
        [second] = await backend.enqueue([bench.job(here, fresh=True, key="k")])
        [later] = await backend.enqueue([bench.job(here, fresh=True, key="t", run_at=clock.now() + FAR)])
        assert not second.duplicate
        asked = await pairs(bench, backend, [second.job_id, later.job_id], there)
        assert await backend.move(asked) == [False, False]
        claim = await bench.claim(backend, there)
        assert (claim.job.id, claim.job.key) == (first.job_id, "k")
        await backend.complete(claim, record(claim))
        await move(bench, backend, [second.job_id], there)
        claim = await bench.claim(backend, there)
        assert claim.job.id == second.job_id
        await backend.complete(claim, record(claim))

    @scenario
    async def test_out_of_a_queue_that_is_held(self, bench: Bench) -> None:
        """Paused, it stays so; at its limit, its jobs can go all the same."""
        here, there = bench.name(), bench.name()
        backend = await bench.open(here, there)
        await backend.limit(here, 1)
        running = await bench.claimed(backend, here)
        jobs = [await bench.enqueued(backend, here) for _ in range(3)]
        await move(bench, backend, [jobs[0].id], there)
        await backend.pause(here)
        await move(bench, backend, [jobs[1].id], there)
        assert [claim.job.id for claim in await bench.gather(backend, there, count=2)] == [jobs[0].id, jobs[1].id]
        assert await backend.complete(running, record(running)) is Settled.DONE
        await bench.silent(backend, here)
        await counted(bench, backend, (here, 1, 0, 0))
        [stats] = await backend.stats([here])
        assert (stats.paused, stats.limit) == (True, 1)
        await backend.resume(here)
        assert (await bench.claim(backend, here)).job.id == jobs[2].id

    @scenario
    async def test_others_go_on(self, bench: Bench) -> None:
        """What was not to be moved comes out as ever, to whoever waits for it."""
        here, there = bench.name(), bench.name()
        backend, other = await bench.open(here, there), await bench.open(here)
        jobs = [await bench.enqueued(backend, here) for _ in range(2)]
        await backend.pause(here)
        waiting = asyncio.ensure_future(bench.claim(other, here))
        await backend.resume(here)
        taken = (await waiting).job.id
        [left] = [job for job in jobs if job.id != taken]
        more = await bench.enqueued(backend, here)
        await move(bench, backend, [left.id], there)
        assert (await bench.claim(other, here)).job.id == more.id
        assert (await bench.claim(backend, there)).job.id == left.id

    @scenario
    async def test_what_does_not_wait(self, bench: Bench) -> None:
        """Stays: a job that runs, has ended, is changed, is not known."""
        here, there = bench.name(), bench.name()
        backend = await bench.open(here, there)
        unknown = bench.job(here)
        assert await backend.move([(unknown, replace(unknown, queue=there))]) == [False]
        changed = await bench.enqueued(backend, here, run_at=clock.now() + FAR)
        asked = await pairs(bench, backend, [changed.id], there)
        assert await backend.amend(asked[0][0], replace(asked[0][0], payload=b"other")) is True
        assert await backend.move(asked) == [False]
        claim = await bench.claimed(backend, here)
        asked = await pairs(bench, backend, [claim.job.id], there)
        assert await backend.move(asked) == [False]
        assert await backend.complete(claim, record(claim)) is Settled.DONE
        assert await backend.move(asked) == [False]
        assert await backend.move([]) == []
        await bench.silent(backend, here, there)

    @scenario
    async def test_what_cannot_be_asked_for(self, bench: Bench) -> None:
        """Is refused, and nothing is moved."""
        here, there = bench.name(), bench.name()
        backend = await bench.open(here, there)
        good, job = [await bench.enqueued(backend, here) for _ in range(2)]
        fine, (seen, to) = await pairs(bench, backend, [good.id, job.id], there)
        for bad in (
            seen,
            replace(to, id=bench.name()),
            replace(to, queue="no name"),
            replace(to, attempt=2),
            replace(to, blocked=True),
            replace(to, priority="high"),
        ):
            with pytest.raises(ConfigurationError):
                await backend.move([fine, (seen, bad)])
        with pytest.raises(PayloadTooLarge):
            await backend.move([fine, (seen, replace(to, payload=bytes(10_000_000)))])
        await counted(bench, backend, (here, 2, 0, 0), (there, 0, 0, 0))

    @scenario
    async def test_its_id_is_one_job_still(self, bench: Bench) -> None:
        """Stored once more where it was, when it has run there: a duplicate, or known to whoever claims it."""
        here, there = bench.name(), bench.name()
        backend = await bench.open(here, there)
        job = await bench.enqueued(backend, here)
        await move(bench, backend, [job.id], there)
        [again] = await backend.enqueue([job])
        assert again.duplicate
        claim = await bench.claim(backend, there)
        await backend.complete(claim, record(claim))
        await backend.enqueue([job])
        for stale in await bench.fetch(backend, here, wait=QUIET):
            known = await backend.lookup(stale)
            assert known is not None
            assert known.state is JobState.SUCCEEDED
            await backend.drop(stale)


class TestMoveRaces:
    """`move` while others are at the same jobs: each of them is one job, in one queue, and ends once."""

    @scenario
    async def test_with_workers(self, bench: Bench) -> None:
        """Of both queues, who claim all the while."""
        here, there = bench.name(), bench.name()
        backend = await bench.open(here, there)
        workers = [await bench.open(here), await bench.open(there), await bench.open(here, there)]
        jobs = [bench.job(here, fresh=n % 2 == 0, run_at=clock.now() if n % 3 == 0 else None) for n in range(60)]
        await backend.enqueue(jobs)
        ran: Counter[str] = Counter()
        moving = True

        async def work(worker: Backend, *queues: str) -> None:
            while moving or len(ran) < len(jobs):
                for claim in await worker.fetch(queues, limit=3, lease=bench.lease, wait=0.05):
                    if (known := await worker.lookup(claim)) is not None:
                        assert known.id in ran, "it should have ended, to be known"
                        await worker.drop(claim)
                        continue
                    ran[claim.job.id] += 1
                    for _ in range(10):  # turns of the loop, in which others may do something to it
                        await asyncio.sleep(0)
                    assert await worker.complete(claim, record(claim)) is Settled.DONE

        async def move_all() -> int:
            nonlocal moving
            moved = 0
            left = [job.id for job in jobs]
            try:
                while left:
                    part, left = left[:6], left[6:]
                    for _ in range(5):
                        await asyncio.sleep(0)
                    specs = await backend.specs(part)
                    asked = [(spec, replace(spec, queue=there)) for spec in specs.values() if spec.queue == here]
                    moved += sum(await backend.move(asked))
            finally:
                moving = False
            return moved

        doing = asyncio.gather(
            move_all(), work(workers[0], here), work(workers[1], there), work(workers[2], here, there)
        )
        await bench.passing(doing, within=60)
        assert ran == Counter({job.id: 1 for job in jobs})
        await bench.silent(backend, here, there)

    @scenario
    async def test_with_itself(self, bench: Bench) -> None:
        """Of two who move the same jobs to two queues, one moves each."""
        here, there, elsewhere = (bench.name() for _ in range(3))
        backend, other = await bench.open(here, there, elsewhere), await bench.open()
        jobs = [bench.job(here, run_at=clock.now() + FAR if n % 2 else None) for n in range(20)]
        await backend.enqueue(jobs)
        ids = [job.id for job in jobs]
        asked = [await pairs(bench, backend, ids, to) for to in (there, elsewhere)]
        first, second = await asyncio.gather(backend.move(asked[0]), other.move(asked[1]))
        assert not [job_id for job_id, a, b in zip(ids, first, second, strict=True) if a and b]

        async def settled() -> bool:
            stats = await backend.stats([here, there, elsewhere])
            return [s.queued + s.scheduled for s in stats] == [20 - sum(first + second), sum(first), sum(second)]

        await bench.until(settled)

    @scenario
    async def test_with_cancel(self, bench: Bench) -> None:
        """What was cancelled while it waited never runs, wherever it is by then."""
        here, there = bench.name(), bench.name()
        backend, other = await bench.open(here, there), await bench.open(here, there)
        for turn in range(6):
            job = await bench.enqueued(backend, here, fresh=True, run_at=clock.now() + FAR if turn % 2 else None)
            asked = await pairs(bench, backend, [job.id], there)
            _, result = await asyncio.gather(backend.move(asked), other.cancel(job.id))
            assert result in {CancelResult.REMOVED, CancelResult.REQUESTED}

            async def cancelled(job_id: str = job.id) -> bool:
                for claim in await backend.fetch([here, there], limit=1, lease=bench.lease, wait=0.05):
                    known = await backend.lookup(claim)
                    assert known is not None, "it would run"
                    assert known.state is JobState.CANCELLED
                    await backend.discard(claim, record(claim, JobState.CANCELLED))
                known = await backend.get(job_id)
                return known is not None and known.state is JobState.CANCELLED

            await bench.until(cancelled)
        await bench.silent(backend, here, there)

    @scenario
    async def test_cancelled_there(self, bench: Bench) -> None:
        """As anywhere."""
        here, there = bench.name(), bench.name()
        backend = await bench.open(here, there)
        job = await bench.enqueued(backend, here)
        await move(bench, backend, [job.id], there)
        assert await backend.cancel(job.id) is CancelResult.REMOVED
        known = await backend.get(job.id)
        assert known is not None
        assert (known.state, known.queue) == (JobState.CANCELLED, there)
        await bench.silent(backend, here, there)
