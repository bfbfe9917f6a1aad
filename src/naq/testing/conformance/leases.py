"""What happens to a claim whose holder is slow, silent or gone."""

from __future__ import annotations

from naq import clock
from naq.backends.base import LEASE_MARGIN, Settled
from naq.job import JobState
from naq.testing.conformance.bench import LONG, Bench, lapsing, record, scenario


class TestDeadline:
    """A claim's `deadline`: what its holder goes by."""

    @scenario
    async def test_it_lies_before_the_end_of_the_lease(self, bench: Bench) -> None:
        """By LEASE_MARGIN, on the monotonic clock, counted from before the claim was handed out."""
        queue = bench.name()
        backend = await bench.open(queue)
        await bench.enqueued(backend, queue)
        before = clock.monotonic()
        claim = await bench.claim(backend, queue)
        after = clock.monotonic()
        assert before + LONG - LEASE_MARGIN - bench.slack <= claim.deadline <= after + LONG - LEASE_MARGIN
        assert before - bench.slack <= claim.claimed_at <= after

    @lapsing
    async def test_nobody_else_has_the_job_before_it(self, bench: Bench) -> None:
        """When somebody else gets the job, the first holder's deadline is past."""
        queue = bench.name()
        lost, held = await bench.lapsed(await bench.open(queue), await bench.open(queue), queue)
        assert held.claimed_at > lost.deadline
        assert clock.monotonic() > lost.deadline


class TestLapse:
    """A claim that nobody renews."""

    @lapsing
    async def test_another_gets_the_job(self, bench: Bench) -> None:
        """Within the lease and a little: delivered once more, same attempt, same payload."""
        queue = bench.name()
        lost, held = await bench.lapsed(await bench.open(queue), await bench.open(queue), queue)
        assert held.delivered > lost.delivered
        assert (held.job.attempt, held.job.run, held.job.payload) == (1, 1, lost.job.payload)

    @lapsing
    async def test_the_same_instance_may_get_it(self, bench: Bench) -> None:
        """Where there is no other."""
        queue = bench.name()
        backend = await bench.open(queue)
        _, held = await bench.lapsed(backend, backend, queue)
        assert held.delivered == 2

    @lapsing
    async def test_delivered_grows_each_time(self, bench: Bench) -> None:
        """So that a job which kills its workers can be told."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        for delivered in (2, 3):
            claim = await bench.claim(backend, queue, wait=bench.lease + bench.slack)
            assert claim.delivered == delivered

    @lapsing
    async def test_a_closed_instance_keeps_nothing(self, bench: Bench) -> None:
        """Closing does not settle; the claims lapse (or are handed back sooner)."""
        queue = bench.name()
        gone = await bench.open(queue)
        claim = await bench.claimed(gone, queue)
        await gone.close()
        again = await bench.claim(await bench.open(queue), queue, wait=bench.lease + bench.slack)
        assert again.job.id == claim.job.id

    @lapsing
    async def test_many_lapse_together(self, bench: Bench) -> None:
        """All of a dead worker's jobs come back."""
        queue = bench.name()
        backend = await bench.open(queue)
        await backend.enqueue([bench.job(queue, fresh=True) for _ in range(50)])
        lost = await bench.gather(backend, queue, count=50)
        back = await bench.gather(await bench.open(queue), queue, count=50)
        assert {claim.job.id for claim in back} == {claim.job.id for claim in lost}
        assert all(claim.delivered == 2 for claim in back)


class TestExtend:
    """`extend`."""

    @lapsing
    async def test_it_keeps_the_job(self, bench: Bench) -> None:
        """A claim that is renewed in time outlives its lease three times over."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        deadline = claim.deadline
        for _ in range(6):
            await bench.silent(other, queue, wait=bench.lease / 2)
            extended = await backend.extend([claim], lease=bench.lease)
            assert extended.deadlines[claim.job.id] > deadline
            assert extended.deadlines[claim.job.id] < clock.monotonic() + bench.lease
            assert not extended.cancelled
            deadline = extended.deadlines[claim.job.id]
        assert await backend.complete(claim, record(claim)) is Settled.DONE

    @lapsing
    async def test_another_instance_in_another_thread_may_do_it(self, bench: Bench) -> None:
        """The claim is all it needs: leases are renewed by a thread and connection of their own."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        for _ in range(4):
            await bench.silent(backend, queue, wait=bench.lease / 2)
            extended = await bench.elsewhere(lambda keeper: keeper.extend([claim], lease=bench.lease), queue)
            assert extended.deadlines[claim.job.id] > clock.monotonic()
        assert await backend.complete(claim, record(claim)) is Settled.DONE

    @lapsing
    async def test_it_lapses_when_renewing_ends(self, bench: Bench) -> None:
        """A renewed claim is not kept for ever."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.extend([claim], lease=bench.lease)
        again = await bench.claim(backend, queue, wait=bench.lease + bench.slack)
        assert (again.job.id, again.delivered) == (claim.job.id, 2)

    @scenario
    async def test_many_at_once(self, bench: Bench) -> None:
        """One call for all that a worker holds."""
        queue = bench.name()
        backend = await bench.open(queue)
        await backend.enqueue([bench.job(queue, fresh=True) for _ in range(100)])
        claims = await bench.gather(backend, queue, count=100)
        extended = await backend.extend(claims, lease=bench.lease)
        assert set(extended.deadlines) == {claim.job.id for claim in claims}
        assert (await backend.extend([], lease=bench.lease)).deadlines == {}

    @scenario
    async def test_a_settled_claim_is_not_revived(self, bench: Bench) -> None:
        """Renewing what is done is harmless: no error, and no second run."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.complete(claim, record(claim))
        await backend.extend([claim], lease=bench.lease)
        known = await backend.get(claim.job.id)
        assert known is not None
        assert known.state is JobState.SUCCEEDED
        await bench.silent(backend, queue)

    @lapsing
    async def test_a_late_one_does_not_rob_the_new_holder(self, bench: Bench) -> None:
        """Whatever the old holder does, the new one's result is the one that counts."""
        queue = bench.name()
        old, new = await bench.open(queue), await bench.open(queue)
        lost, held = await bench.lapsed(old, new, queue)
        await old.extend([lost], lease=bench.lease)
        assert await new.complete(held, record(held, worker="w2")) is Settled.DONE
        known = await new.get(held.job.id)
        assert known is not None
        assert known.worker == "w2"
