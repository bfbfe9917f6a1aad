"""Giving a job that waits other contents."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from naq import clock
from naq.backends.base import Backend, CancelResult, Settled
from naq.exceptions import ConfigurationError, PayloadTooLarge
from naq.job import JobSpec, JobState
from naq.testing.conformance.bench import DELAY, PATIENCE, QUIET, Bench, record, scenario

FAR = 3600.0  # seconds; a time that no test sees come


async def seen(backend: Backend, job_id: str, *, payload: bytes | None = None) -> JobSpec:
    """The job as it is stored, with `payload` where that was stored last: a replica may be behind for a moment."""
    async with asyncio.timeout(PATIENCE):
        while True:
            spec = (await backend.specs([job_id]))[job_id]
            if payload is None or spec.payload == payload:
                return spec


async def amend(bench: Bench, backend: Backend, job_id: str, **changes: Any) -> None:
    """Amend a job; asks again where a replica was behind."""

    async def amended() -> bool:
        spec = (await backend.specs([job_id])).get(job_id)
        return spec is not None and await backend.amend(spec, replace(spec, **changes))

    await bench.until(amended)


class TestAmend:
    """`amend`: what waits is stored anew, in one step."""

    @scenario
    async def test_a_scheduled_job(self, bench: Bench) -> None:
        """Payload, headers, priority and time; it comes out as changed, and once."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        job = await bench.enqueued(backend, queue, run_at=clock.now() + FAR, priority="low")
        before = await seen(other, job.id)
        due = clock.now() + DELAY
        changed = replace(before, payload=b"other", headers={"Naq-Tag-a": "b"}, priority="high", run_at=due)
        assert await other.amend(before, changed) is True
        known = await backend.get(job.id)
        assert known is not None
        assert (known.state, known.priority, known.tags) == (JobState.SCHEDULED, "high", {"a": "b"})
        assert abs(known.run_at - due) < 0.001
        await bench.counted(backend, queue, queued=0, scheduled=1)
        claim = await bench.claim(backend, queue)
        assert clock.now() >= due
        assert (claim.job.id, claim.job.payload, claim.job.priority) == (job.id, b"other", "high")
        assert claim.job.headers == {"Naq-Tag-a": "b"}
        assert await backend.complete(claim, record(claim)) is Settled.DONE
        await bench.silent(backend, queue)

    @scenario
    async def test_its_earlier_time_is_void(self, bench: Bench) -> None:
        """When that comes, nothing happens."""
        queue = bench.name()
        backend = await bench.open(queue)
        for priority in ("normal", "high"):
            job = await bench.enqueued(backend, queue, run_at=clock.now() + DELAY)
            before = await seen(backend, job.id)
            assert await backend.amend(before, replace(before, run_at=clock.now() + FAR, priority=priority)) is True
        await bench.silent(backend, queue, wait=DELAY + QUIET)
        await bench.counted(backend, queue, queued=0, scheduled=2)

    @scenario
    async def test_the_next_attempt(self, bench: Bench) -> None:
        """Of a job that is retried: the attempt keeps its number, the job its key."""
        queue = bench.name()
        backend = await bench.open(queue)
        [added] = await backend.enqueue([bench.job(queue, fresh=True, key="k")])
        claim = await bench.claim(backend, queue)
        await backend.retry(claim, delay=FAR, payload=b"second")
        before = await seen(backend, added.job_id, payload=b"second")
        assert await backend.amend(before, replace(before, payload=b"third")) is True
        known = await backend.get(added.job_id)
        assert known is not None
        assert (known.state, known.attempt, known.key) == (JobState.RETRYING, 2, "k")
        [again] = await backend.enqueue([bench.job(queue, fresh=True, key="k")])
        assert again.duplicate
        assert await backend.run_now(added.job_id) is True
        last = await bench.claim(backend, queue)
        assert (last.job.id, last.job.attempt, last.job.payload) == (added.job_id, 2, b"third")
        await backend.complete(last, record(last))

    @scenario
    async def test_a_blocked_job(self, bench: Bench) -> None:
        """Stays blocked, and goes on as changed."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = await bench.enqueued(backend, queue, blocked=True)
        before = await seen(backend, job.id)
        changed = replace(before, payload=b"other", priority="high")
        assert await backend.amend(before, changed) is True
        await bench.counted(backend, queue, queued=0, blocked=1)
        assert await backend.amend(before, changed) is False
        assert await backend.unblock(job.id) is True
        claim = await bench.claim(backend, queue)
        assert (claim.job.id, claim.job.payload, claim.job.priority) == (job.id, b"other", "high")
        await backend.complete(claim, record(claim))
        await bench.silent(backend, queue)

    @scenario
    async def test_in_line(self, bench: Bench) -> None:
        """Comes out once, as changed, behind those that were there, in a lane of its own if that was asked for."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        jobs = [await bench.enqueued(backend, queue, fresh=n > 0) for n in range(3)]
        await amend(bench, other, jobs[0].id, payload=b"other", headers={"Naq-Tag-a": "b"})
        known = await backend.get(jobs[0].id)
        assert known is not None
        assert (known.state, known.tags) == (JobState.QUEUED, {"a": "b"})
        await amend(bench, other, jobs[2].id, priority="high")
        claims = await bench.gather(backend, queue, count=3)
        assert [claim.job.id for claim in claims if claim.job.priority == "normal"] == [jobs[1].id, jobs[0].id]
        [high] = [claim for claim in claims if claim.job.priority == "high"]
        assert (high.job.id, high.job.payload) == (jobs[2].id, jobs[2].payload)
        [first] = [claim for claim in claims if claim.job.id == jobs[0].id]
        assert (first.job.payload, first.job.headers) == (b"other", {"Naq-Tag-a": "b"})
        for claim in claims:
            assert (claim.delivered, claim.job.attempt) == (1, 1)
            assert await backend.lookup(claim) is None
            assert await backend.complete(claim, record(claim)) is Settled.DONE
        await bench.silent(backend, queue)

    @scenario
    async def test_in_line_and_given_a_time(self, bench: Bench) -> None:
        """It is scheduled, keeps its key, and comes out then."""
        queue = bench.name()
        backend = await bench.open(queue)
        [added] = await backend.enqueue([bench.job(queue, fresh=True, key="k")])
        due = clock.now() + DELAY
        await amend(bench, backend, added.job_id, run_at=due)
        known = await backend.get(added.job_id)
        assert known is not None
        assert known.state is JobState.SCHEDULED
        [again] = await backend.enqueue([bench.job(queue, fresh=True, key="k")])
        assert (again.duplicate, again.job_id) == (True, added.job_id)
        claim = await bench.claim(backend, queue)
        assert clock.now() >= due
        assert (claim.job.id, claim.job.key) == (added.job_id, "k")
        await backend.complete(claim, record(claim))
        await bench.silent(backend, queue)

    @scenario
    async def test_in_line_of_a_paused_queue(self, bench: Bench) -> None:
        """Which stays paused, its limit as it was."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        await backend.limit(queue, 1)
        await backend.pause(queue)
        job = await bench.enqueued(backend, queue)
        await amend(bench, other, job.id, payload=b"other")
        [stats] = await backend.stats([queue])
        assert (stats.paused, stats.limit) == (True, 1)
        await bench.silent(backend, queue)
        await backend.resume(queue)
        assert (await bench.claim(backend, queue)).job.payload == b"other"

    @scenario
    async def test_racing_with_workers(self, bench: Bench) -> None:
        """Who claim all the while, and with one who resumes: each runs once, as changed where that was said."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        jobs = [bench.job(queue, fresh=n % 2 == 0) for n in range(20)]
        await backend.enqueue(jobs)
        ran: dict[str, bytes] = {}
        changed: set[str] = set()
        tried = 0

        async def work() -> None:
            while len(ran) < len(jobs):
                if len(ran) > tried:  # let them meet: the one takes jobs from the front, the other from behind
                    await asyncio.sleep(0)
                    continue
                for claim in await backend.fetch([queue], limit=1, lease=bench.lease, wait=0.05):
                    assert await backend.lookup(claim) is None
                    assert claim.job.id not in ran
                    ran[claim.job.id] = claim.job.payload
                    assert await backend.complete(claim, record(claim)) is Settled.DONE

        async def change() -> None:
            nonlocal tried
            for job in reversed(jobs):
                tried += 1
                spec = (await other.specs([job.id])).get(job.id)
                if spec is not None and await other.amend(spec, replace(spec, payload=b"other")):
                    changed.add(job.id)

        async def resume() -> None:
            while len(ran) < len(jobs):
                await other.resume(queue)
                await asyncio.sleep(0)

        await bench.passing(asyncio.gather(work(), change(), resume()), within=60)
        assert changed
        assert {job_id for job_id, payload in ran.items() if payload == b"other"} == changed
        await bench.silent(backend, queue)

    @scenario
    async def test_many_at_once(self, bench: Bench) -> None:
        """Each in its state, in line too; those that somebody changed, or that are not there, stay as they are."""
        queues = [bench.name(), bench.name()]
        backend, other = await bench.open(*queues), await bench.open()
        jobs = [await bench.enqueued(backend, queue) for queue in queues for _ in range(3)]
        timed = await bench.enqueued(backend, queues[0], run_at=clock.now() + FAR)
        stale = await bench.enqueued(backend, queues[0], run_at=clock.now() + FAR)
        specs = [await seen(other, job.id) for job in (*jobs, timed, stale)]
        await amend(bench, backend, stale.id, payload=b"somebody else's")
        pairs = [(spec, replace(spec, payload=b"other", priority="high")) for spec in specs]
        unknown = bench.job(queues[1])
        done = await other.amend_many([*pairs, (unknown, replace(unknown, payload=b"other"))])
        assert done == [True] * 7 + [False, False]
        assert await other.amend_many([]) == []
        await bench.counted(backend, queues[0], queued=3, scheduled=2)
        for spec in specs[:7]:
            after = await seen(backend, spec.id, payload=b"other")
            assert (after.priority, after.run_at) == ("high", spec.run_at)
        with pytest.raises(ConfigurationError):
            await other.amend_many([pairs[0], (specs[0], replace(specs[0], attempt=2))])
        ran = [(await bench.claim(backend, queue)).job for queue in queues for _ in range(3)]
        assert {job.id for job in ran} == {job.id for job in jobs}
        assert {job.payload for job in ran} == {b"other"}

    @scenario
    async def test_one_of_many_wins(self, bench: Bench) -> None:
        """Whoever saw it as it was before the others' change is told that it is not so any more."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        job = await bench.enqueued(backend, queue, run_at=clock.now() + FAR)
        before = await seen(backend, job.id)
        won = await asyncio.gather(
            *(one.amend(before, replace(before, payload=b"%d" % n)) for n, one in enumerate((backend, other) * 8))
        )
        assert sorted(won) == [False] * 15 + [True]
        await backend.run_now(job.id)
        claim = await bench.claim(backend, queue)
        assert claim.job.payload == b"%d" % won.index(True)
        await backend.complete(claim, record(claim))

    @scenario
    async def test_racing_with_those_who_let_it_go(self, bench: Bench) -> None:
        """`run_now` and `unblock` do it whoever came first; it runs once, as changed where that was said."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        for turn in range(10):
            blocked = turn % 2 == 1
            job = await bench.enqueued(backend, queue, blocked=blocked, run_at=None if blocked else clock.now() + FAR)
            before = await seen(backend, job.id)
            changed, gone = await asyncio.gather(
                other.amend(before, replace(before, payload=b"other")),
                backend.unblock(job.id) if blocked else backend.run_now(job.id),
            )
            assert gone is True
            claim = await bench.claim(backend, queue)
            assert (claim.job.id, claim.job.payload) == (job.id, b"other" if changed else job.payload)
            await backend.complete(claim, record(claim))
        await bench.silent(backend, queue)

    @scenario
    async def test_racing_with_cancel(self, bench: Bench) -> None:
        """What was cancelled never runs."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        for _ in range(5):
            job = await bench.enqueued(backend, queue, run_at=clock.now() + FAR)
            before = await seen(backend, job.id)
            result, _ = await asyncio.gather(
                other.cancel(job.id), backend.amend(before, replace(before, run_at=clock.now()))
            )
            assert result is CancelResult.REMOVED
            known = await backend.get(job.id)
            assert known is not None
            assert known.state is JobState.CANCELLED
        await bench.silent(backend, queue)

    @scenario
    async def test_a_job_that_does_not_wait(self, bench: Bench) -> None:
        """Is left alone: running, ended, unknown."""
        queue = bench.name()
        backend = await bench.open(queue)
        unknown = bench.job(queue)
        assert await backend.amend(unknown, replace(unknown, payload=b"other")) is False
        job = await bench.enqueued(backend, queue)
        before = await seen(backend, job.id)
        changed = replace(before, payload=b"other")
        claim = await bench.claim(backend, queue)
        assert claim.job.payload == job.payload
        assert await backend.amend(before, changed) is False
        await backend.complete(claim, record(claim))
        assert await backend.amend(before, changed) is False
        await bench.silent(backend, queue)

    @scenario
    async def test_what_cannot_be_changed(self, bench: Bench) -> None:
        """Is refused, and the job is as it was."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = await bench.enqueued(backend, queue, run_at=clock.now() + FAR)
        before = await seen(backend, job.id)
        for changed in (
            replace(before, queue=bench.name()),
            replace(before, id=bench.name()),
            replace(before, attempt=2),
            replace(before, blocked=True),
            replace(before, run_at=None),
            replace(before, run_at=float("nan")),
            replace(before, priority="urgent"),  # pyright: ignore[reportArgumentType]
            replace(before, headers={"no header": "x"}),
        ):
            with pytest.raises(ConfigurationError):
                await backend.amend(before, changed)
        with pytest.raises(PayloadTooLarge):
            await backend.amend(before, replace(before, payload=bytes(10_000_000)))
        assert await seen(backend, job.id) == before
