"""Another attempt, and giving a job back without one."""

from __future__ import annotations

from naq import clock
from naq.backends.base import Settled
from naq.job import JobState
from naq.testing.conformance.bench import DELAY, Bench, lapsing, record, scenario

LATER = b'{"v":1,"task":"conformance.task","args":[1],"kwargs":{},"errors":[]}'


class TestRetry:
    """`retry`."""

    @scenario
    async def test_the_next_attempt(self, bench: Bench) -> None:
        """Numbered one higher, not before its delay, with the new payload, as if delivered for the first time."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue, headers={"Naq-Tag-a": "b"})
        before = clock.now()
        assert await backend.retry(claim, delay=DELAY, payload=LATER, reason="ValueError") is Settled.DONE
        again = await bench.claim(backend, queue, wait=DELAY + bench.slack)
        assert clock.now() >= before + DELAY
        assert (again.job.id, again.job.attempt, again.job.run) == (claim.job.id, 2, 1)
        assert (again.job.payload, again.job.headers) == (LATER, {"Naq-Tag-a": "b"})
        assert again.delivered == 1

    @scenario
    async def test_while_it_waits(self, bench: Bench) -> None:
        """It is `retrying`, and says which attempt comes next and when."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        before = clock.now()
        await backend.retry(claim, delay=3600)
        known = await backend.get(claim.job.id)
        assert known is not None
        assert (known.state, known.attempt) == (JobState.RETRYING, 2)
        assert abs(known.run_at - before - 3600) < bench.slack + 1
        await bench.silent(backend, queue)

    @scenario
    async def test_without_a_payload_the_old_one_stays(self, bench: Bench) -> None:
        """`payload` is only for who has something to add."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.retry(claim, delay=0.1)
        assert (await bench.claim(backend, queue)).job.payload == claim.job.payload

    @scenario
    async def test_at_once(self, bench: Bench) -> None:
        """A delay of 0 is allowed; every attempt is counted."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        for attempt in (2, 3, 4):
            assert await backend.retry(claim, delay=0.0) is Settled.DONE
            claim = await bench.claim(backend, queue)
            assert claim.job.attempt == attempt

    @scenario
    async def test_after_a_final_record(self, bench: Bench) -> None:
        """It does nothing: the job has ended and does not run again."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.complete(claim, record(claim))
        assert await backend.retry(claim, delay=0.0) is Settled.SUPERSEDED
        assert await backend.retry(claim, delay=0.1) is Settled.SUPERSEDED
        known = await backend.get(claim.job.id)
        assert known is not None
        assert known.state is JobState.SUCCEEDED
        await bench.silent(backend, queue)

    @lapsing
    async def test_the_first_attempt_is_gone(self, bench: Bench) -> None:
        """Only the next one comes; the message of the first does not lapse into a run of its own."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.retry(claim, delay=DELAY)
        again = await bench.claim(backend, queue, wait=DELAY + bench.slack)
        await backend.complete(again, record(again))
        await bench.silent(backend, queue, wait=bench.outlived)

    @scenario
    async def test_then_success(self, bench: Bench) -> None:
        """The record is of the attempt that succeeded."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.retry(claim, delay=0.1)
        again = await bench.claim(backend, queue)
        assert await backend.complete(again, record(again)) is Settled.DONE
        known = await backend.get(claim.job.id)
        assert known is not None
        assert (known.state, known.attempt) == (JobState.SUCCEEDED, 2)


class TestRelease:
    """`release`."""

    @scenario
    async def test_it_goes_to_the_next(self, bench: Bench) -> None:
        """At once, to whoever fetches, and the attempt does not count."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.release(claim)
        again = await bench.claim(other, queue)
        assert (again.job.id, again.job.attempt, again.job.payload) == (claim.job.id, 1, claim.job.payload)

    @scenario
    async def test_over_and_over(self, bench: Bench) -> None:
        """However often, it is still the first attempt."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        for _ in range(4):
            await backend.release(claim)
            claim = await bench.claim(backend, queue)
            assert claim.job.attempt == 1
        await backend.retry(claim, delay=0.1)
        claim = await bench.claim(backend, queue)
        await backend.release(claim)
        assert (await bench.claim(backend, queue)).job.attempt == 2

    @scenario
    async def test_with_a_delay(self, bench: Bench) -> None:
        """It waits as scheduled, comes back not before its time, and does not look like a crash."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        for _ in range(3):
            before = clock.now()
            await backend.release(claim, delay=DELAY, reason="snoozed")
            known = await backend.get(claim.job.id)
            assert known is not None
            assert (known.state, known.attempt, known.reason) == (JobState.SCHEDULED, 1, "snoozed")
            claim = await bench.claim(backend, queue, wait=DELAY + bench.slack)
            assert clock.now() >= before + DELAY
            assert (claim.job.attempt, claim.delivered) == (1, 1)

    @scenario
    async def test_claims_are_counted_on(self, bench: Bench) -> None:
        """A job that was put off says how often this attempt was handed out before; the next attempt begins anew."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        assert claim.job.claims == 0
        await backend.release(claim)
        claim = await bench.claim(backend, queue)
        assert (claim.delivered, claim.job.claims) == (2, 0)
        for claims in (2, 3):
            await backend.release(claim, delay=DELAY)
            claim = await bench.claim(backend, queue, wait=DELAY + bench.slack)
            assert (claim.delivered, claim.job.claims) == (1, claims)
        await backend.release(claim, delay=60)
        assert await backend.run_now(claim.job.id)
        claim = await bench.claim(backend, queue)
        assert (claim.delivered, claim.job.claims) == (1, 4)
        await backend.retry(claim, delay=0.1)
        assert (await bench.claim(backend, queue)).job.claims == 0

    @scenario
    async def test_a_settled_claim_stays_settled(self, bench: Bench) -> None:
        """Releasing what has ended does nothing."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.complete(claim, record(claim))
        await backend.release(claim)
        known = await backend.get(claim.job.id)
        assert known is not None
        assert known.state is JobState.SUCCEEDED
        await bench.silent(backend, queue)
