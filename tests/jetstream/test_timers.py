"""Timers held by the broker: never early, not lost with a killed server, one firing each (RELIABILITY.md 0.7, 2)."""

from __future__ import annotations

import asyncio
import random

import pytest
from jetstream_tools import JOBS, claim_all, claim_one, job, opened, operator, story, succeeded, until

from naq import clock
from naq.backends.base import CancelResult, Settled
from naq.backends.nats import messages
from naq.backends.nats.backend import NatsBackend
from naq.backends.nats.broker.process import ServerProcess
from naq.exceptions import ConfigurationError
from naq.job import PRIORITIES, JobSpec, JobState

LATE = 5.0  # seconds; 0.25 on an idle machine


async def fired_at(backend: NatsBackend, sequence: int) -> float:
    """When the broker put the job into line, by its own clock."""
    message = await backend.js.at(JOBS, sequence)
    assert message is not None
    return messages.stored_at(message.time)


@story
async def test_hundreds_of_timers_fire_in_their_time_by_the_broker_s_clock(shared: ServerProcess) -> None:
    rng = random.Random(7)
    async with opened(shared.url, "many") as backend:
        start = clock.now()
        due: dict[str, float] = {}
        jobs: list[JobSpec] = []
        for number in range(600):
            run_at = start + 0.5 + rng.random() * 2.5
            jobs.append(job("many", run_at=run_at, priority=rng.choice(PRIORITIES), fresh=number % 2 == 0))
            due[jobs[-1].id] = run_at
        await backend.enqueue(jobs)
        claims = await claim_all(backend, "many", 600)
        assert {claim.job.id for claim in claims} == set(due)
        for claim in claims:
            at = await fired_at(backend, messages.Receipt(claim.receipt).sequence)
            assert 0 <= at - due[claim.job.id] < LATE
        await backend.link.flush()
        assert await backend.fetch(["many"], limit=10, lease=30, wait=0.3) == []


@story
async def test_timers_outlive_a_killed_server_also_those_that_fell_due_meanwhile(server: ServerProcess) -> None:
    async with opened(server.url, "kill") as backend:
        soon = [job("kill", run_at=clock.now() + 0.8) for _ in range(200)]
        later = [job("kill", run_at=clock.now() + 3.0) for _ in range(200)]
        await backend.enqueue([*soon, *later])
        server.kill()
        wire = backend.link.wire
        await until(lambda: clock.now() > (soon[-1].run_at or 0) + 0.5, "the first to be due")
        server.start()
        await until(lambda: backend.link.wire not in {wire, None}, "the connection to be back")
        claims = await claim_all(backend, "kill", 400)
        assert len({claim.job.id for claim in claims}) == 400
        for claim in claims:
            at = await fired_at(backend, messages.Receipt(claim.receipt).sequence)
            run_at = next(spec.run_at for spec in [*soon, *later] if spec.id == claim.job.id)
            assert run_at is not None
            assert at >= run_at
            await backend.complete(claim, succeeded(claim))
        await backend.link.flush()
        async with operator(server.url) as admin:
            assert await admin.stored() == 0


@story
async def test_a_retry_replaces_the_attempt_it_follows(shared: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the ack came through or not, there is one message of a job in the end."""
    async with opened(shared.url, "next") as backend, operator(shared.url) as admin:
        before = await admin.stored()
        await backend.enqueue([job("next")])
        claim = await claim_one(backend, "next")
        with monkeypatch.context() as lossy:

            def lose(receipt: bytes, word: bytes) -> None: ...

            lossy.setattr(backend, "settle", lose)
            assert await backend.retry(claim, delay=0.3, payload=b"second", reason="because") is Settled.DONE
        again = await claim_one(backend, "next")
        assert (again.job.attempt, again.job.payload, again.delivered) == (2, b"second", 1)
        await backend.complete(again, succeeded(again))
        await backend.link.flush()
        assert await admin.stored() == before


@story
async def test_a_retry_sent_twice_is_one(shared: ServerProcess) -> None:
    async with opened(shared.url, "twice") as backend:
        await backend.enqueue([job("twice")])
        claim = await claim_one(backend, "twice")
        assert await asyncio.gather(*(backend.retry(claim, delay=0.2) for _ in range(5))) == [Settled.DONE] * 5
        again = await claim_one(backend, "twice")
        assert again.job.attempt == 2
        await backend.complete(again, succeeded(again))
        assert await backend.fetch(["twice"], limit=5, lease=30, wait=0.6) == []


@story
async def test_a_snooze_does_not_bring_a_finished_job_back(shared: ServerProcess) -> None:
    """`release` with a delay, by a holder whose job somebody else has finished."""
    async with opened(shared.url, "snooze", lease=1.0) as slow, opened(shared.url, "snooze", lease=1.0) as quick:
        await slow.enqueue([job("snooze")])
        stale = await claim_one(slow, "snooze")
        held = await claim_one(quick, "snooze")
        await quick.complete(held, succeeded(held))
        await slow.release(stale, delay=0.1)
        assert await quick.fetch(["snooze"], limit=5, lease=1.0, wait=1.0) == []


@story
async def test_cancelling_races_with_firing(shared: ServerProcess) -> None:
    """Cancelled in the moment it fires, a job does not run, and its record says so."""
    async with opened(shared.url, "race") as backend, opened(shared.url) as other:
        rng = random.Random(3)
        for _ in range(5):
            jobs = [job("race", run_at=clock.now() + 0.3 + rng.random() * 0.5) for _ in range(20)]
            await backend.enqueue(jobs)
            fetching = asyncio.create_task(backend.fetch(["race"], limit=100, lease=30, wait=0.7))
            results: list[CancelResult] = []
            for spec in jobs:
                results.append(await other.cancel(spec.id))
                await asyncio.sleep(rng.random() * 0.03)
            claims = await fetching
            while more := await backend.fetch(["race"], limit=100, lease=30, wait=0.4):
                claims += more
            ran = {claim.job.id: claim for claim in claims}
            for spec, result in zip(jobs, results, strict=True):
                if (claim := ran.get(spec.id)) is not None:
                    known = await backend.lookup(claim)
                    assert known is not None, "whoever looks is told"
                    assert known.state is JobState.CANCELLED
                    await backend.discard(claim, known)
                else:
                    assert result is CancelResult.REMOVED
                assert (await backend.wait(spec.id, timeout=10)).state is JobState.CANCELLED


@pytest.mark.parametrize("when", [9214646400.0, 1e11, 1e15, float("nan"), float("inf")])
def test_a_time_that_no_calendar_can_write_is_refused(shared: ServerProcess, when: float) -> None:
    async def body() -> None:
        async with opened(shared.url, "never") as backend:
            with pytest.raises(ConfigurationError, match="run_at"):
                await backend.enqueue([job("never", run_at=when)])

    asyncio.run(body())


@story
async def test_the_last_time_that_there_is(shared: ServerProcess) -> None:
    async with opened(shared.url, "last") as backend:
        await backend.enqueue([spec := job("last", run_at=9214646399.0)])
        known = await backend.get(spec.id)
        assert known is not None
        assert (known.state, known.run_at) == (JobState.SCHEDULED, 9214646399.0)
        assert (await backend.maintain()).overdue == 0
