"""Cancelling, and what the holder of a claim can look up."""

from __future__ import annotations

import asyncio

from naq import clock
from naq.backends.base import CancelResult, Settled
from naq.job import JobState
from naq.testing.conformance.bench import DELAY, QUIET, Bench, lapsing, record, scenario


class TestCancelWaiting:
    """A job that waits: cancelled, it never runs."""

    @scenario
    async def test_queued(self, bench: Bench) -> None:
        """Removed, with a final record."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = await bench.enqueued(backend, queue)
        assert await backend.cancel(job.id) is CancelResult.REMOVED
        await bench.silent(backend, queue)
        known = await backend.get(job.id)
        assert known is not None
        assert (known.state, known.queue) == (JobState.CANCELLED, queue)

    @scenario
    async def test_its_arguments_are_in_its_record(self, bench: Bench) -> None:
        """As they are shown while it waits; where they cannot be read as JSON, neither has any."""
        queue = bench.name()
        backend = await bench.open(queue)
        for payload, arguments in (
            (b'{"v":1,"task":"t","args":[1, "\xc3\xa9"]}', b'{"args":[1, "\xc3\xa9"],"kwargs":{}}'),
            (b'{"v":1,"task":"t"}', b'{"args":[],"kwargs":{}}'),
            (b'{"v":1,"task":"t","codec":"encrypted","args":["k","YQ=="]}', b""),
            (b'{"v":1,"task":"t","args":["\xff"]}', b""),
            (b"no envelope", b""),
        ):
            job = await bench.enqueued(backend, queue, payload=payload)
            waits = await backend.get(job.id)
            await backend.cancel(job.id)
            known = await backend.get(job.id)
            assert waits is not None
            assert known is not None
            assert known.state is JobState.CANCELLED
            assert [bytes(one.arguments or b"") for one in (waits, known)] == [arguments, arguments]

    @scenario
    async def test_scheduled(self, bench: Bench) -> None:
        """Nor when its time comes."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = await bench.enqueued(backend, queue, run_at=clock.now() + DELAY)
        assert await backend.cancel(job.id) is CancelResult.REMOVED
        await bench.silent(backend, queue, wait=DELAY + QUIET)

    @scenario
    async def test_retrying(self, bench: Bench) -> None:
        """Nor its next attempt."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.retry(claim, delay=DELAY)
        assert await backend.cancel(claim.job.id) is CancelResult.REMOVED
        await bench.silent(backend, queue, wait=DELAY + QUIET)
        known = await backend.get(claim.job.id)
        assert known is not None
        assert known.state is JobState.CANCELLED

    @scenario
    async def test_only_this_one(self, bench: Bench) -> None:
        """The jobs around it run."""
        queue = bench.name()
        backend = await bench.open(queue)
        jobs = [await bench.enqueued(backend, queue) for _ in range(5)]
        await backend.cancel(jobs[2].id)
        claims = await bench.gather(backend, queue, count=4)
        assert [claim.job.id for claim in claims] == [job.id for n, job in enumerate(jobs) if n != 2]
        await bench.silent(backend, queue)

    @scenario
    async def test_who_waits_is_told(self, bench: Bench) -> None:
        """`wait` ends with the cancelled record."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = await bench.enqueued(backend, queue)
        waiting = asyncio.ensure_future(backend.wait(job.id, timeout=3600))
        await (await bench.open()).cancel(job.id)
        assert (await bench.passing(waiting)).state is JobState.CANCELLED

    @scenario
    async def test_its_id_stays_taken(self, bench: Bench) -> None:
        """A cancelled job is a finished one: the same id does not run."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = await bench.enqueued(backend, queue)
        await backend.cancel(job.id)
        [again] = await backend.enqueue([bench.job(queue, id=job.id)])
        if not again.duplicate:
            claim = await bench.claim(backend, queue)
            assert await backend.lookup(claim) is not None
            await backend.drop(claim)
        await bench.silent(backend, queue)


class TestCancelRunning:
    """A job that runs: its holder is told, and whoever holds it next."""

    @scenario
    async def test_its_holder_learns_of_it(self, bench: Bench) -> None:
        """By `extend`, from any instance, each time, without any signal."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        claim = await bench.claimed(backend, queue)
        bystander = await bench.claimed(backend, queue)
        assert (await backend.extend([claim], lease=bench.lease)).cancelled == frozenset()
        assert await other.cancel(claim.job.id) is CancelResult.REQUESTED
        for keeper in (backend, other):
            extended = await keeper.extend([claim, bystander], lease=bench.lease)
            assert extended.cancelled == {claim.job.id}

    @scenario
    async def test_it_ends_as_cancelled(self, bench: Bench) -> None:
        """When its holder says so."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.cancel(claim.job.id)
        known = await backend.get(claim.job.id)
        assert known is not None
        assert known.state is JobState.RUNNING
        assert await backend.discard(claim, record(claim, JobState.CANCELLED)) is Settled.DONE
        assert (await backend.wait(claim.job.id, timeout=5)).state is JobState.CANCELLED
        assert await backend.cancel(claim.job.id) is CancelResult.FINISHED

    @scenario
    async def test_never_both(self, bench: Bench) -> None:
        """Where the task was faster it has succeeded, and then it is not cancelled too."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.cancel(claim.job.id)
        assert await backend.complete(claim, record(claim)) is Settled.DONE
        assert await backend.discard(claim, record(claim, JobState.CANCELLED, worker="w2")) is Settled.SUPERSEDED
        assert (await backend.wait(claim.job.id, timeout=5)).state is JobState.SUCCEEDED
        assert await backend.cancel(claim.job.id) is CancelResult.FINISHED

    @scenario
    async def test_racing_with_its_start(self, bench: Bench) -> None:
        """However cancel and fetch fall, a removed job is in nobody's hands, and a claimed one is marked."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open()
        for _ in range(20):
            job = await bench.enqueued(backend, queue)
            claims, result = await asyncio.gather(
                bench.fetch(backend, queue, wait=0.2), bench.passing(other.cancel(job.id))
            )
            if result is CancelResult.REMOVED:
                # A claim that was handed out in the same moment must be told before it runs or when it settles.
                for claim in claims:
                    assert await backend.lookup(claim) is not None
                    assert await backend.complete(claim, record(claim)) is Settled.SUPERSEDED
                assert (await backend.wait(job.id, timeout=5)).state is JobState.CANCELLED
            else:
                assert result is CancelResult.REQUESTED
                [claim] = claims or [await bench.claim(backend, queue)]
                assert (await backend.extend([claim], lease=bench.lease)).cancelled == {job.id}
                await backend.discard(claim, record(claim, JobState.CANCELLED))
        await bench.silent(backend, queue)

    @lapsing
    async def test_the_next_holder_is_told(self, bench: Bench) -> None:
        """When the first one died before it heard: `lookup` says so before the job runs again."""
        queue = bench.name()
        gone = await bench.open(queue)
        claim = await bench.claimed(gone, queue)
        assert await gone.cancel(claim.job.id) is CancelResult.REQUESTED
        backend = await bench.open(queue)
        again = await bench.claim(backend, queue, wait=bench.lease + bench.slack)
        known = await backend.lookup(again)
        assert known is not None
        assert (known.id, known.state) == (claim.job.id, JobState.CANCELLED)
        assert await backend.discard(again, known) is Settled.DONE
        assert (await backend.wait(claim.job.id, timeout=5)).state is JobState.CANCELLED

    @scenario
    async def test_a_released_or_retried_one_is_told(self, bench: Bench) -> None:
        """A holder that gave it back without having heard does not undo the cancelling."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.cancel(claim.job.id)
        await backend.release(claim)
        claim = await bench.claim(backend, queue)
        known = await backend.lookup(claim)
        assert known is not None
        assert known.state is JobState.CANCELLED
        await backend.retry(claim, delay=0.1)
        claim = await bench.claim(backend, queue)
        known = await backend.lookup(claim)
        assert known is not None
        assert known.state is JobState.CANCELLED


class TestCancelOthers:
    """What is not there to be cancelled."""

    @scenario
    async def test_unknown(self, bench: Bench) -> None:
        """Nothing is made up: a job enqueued later under this id runs."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = bench.job(queue)
        assert await backend.cancel(job.id) is CancelResult.UNKNOWN
        await backend.enqueue([job])
        claim = await bench.claim(backend, queue)
        assert await backend.lookup(claim) is None

    @scenario
    async def test_finished(self, bench: Bench) -> None:
        """An end is an end."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.complete(claim, record(claim))
        assert await backend.cancel(claim.job.id) is CancelResult.FINISHED
        assert (await backend.wait(claim.job.id, timeout=5)).state is JobState.SUCCEEDED

    @scenario
    async def test_twice(self, bench: Bench) -> None:
        """The second time it has ended already."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = await bench.enqueued(backend, queue)
        assert await backend.cancel(job.id) is CancelResult.REMOVED
        assert await backend.cancel(job.id) is CancelResult.FINISHED


class TestLookup:
    """`lookup`: what a holder asks before it runs a job that may have run before."""

    @scenario
    async def test_nothing_known(self, bench: Bench) -> None:
        """Run it."""
        queue = bench.name()
        backend = await bench.open(queue)
        assert await backend.lookup(await bench.claimed(backend, queue)) is None

    @lapsing
    async def test_a_final_record(self, bench: Bench) -> None:
        """Somebody else has finished it: drop it."""
        queue = bench.name()
        old, new = await bench.open(queue), await bench.open(queue)
        lost, held = await bench.lapsed(old, new, queue)
        assert await new.lookup(held) is None
        await old.complete(lost, record(lost))
        known = await new.lookup(held)
        assert known is not None
        assert (known.state, known.worker) == (JobState.SUCCEEDED, "w1")
        await new.drop(held)
        await bench.silent(new, queue, wait=bench.outlived)
