"""Faults 1 to 7: a worker dies at each point of a job's life. Nothing is lost, nothing is recorded twice, and whatever
ran again had to."""

from __future__ import annotations

import pytest
from rig.fleet import LEASE, Rig, story, until
from rig.specs import job, jobs

from naq.job import JobState
from naq.testing.chaos import Expected

pytestmark = pytest.mark.faults


@pytest.mark.parametrize(
    ("point", "executions", "delivered"),
    [
        ("run.before_start", 1, 2),  # 1: nothing of it had run
        ("run.mid_task", 2, 2),  # 2: it had begun
        ("run.after_task", 2, 2),  # 3: it had ended, and nobody knew
        ("complete.record_sent", 1, 1),  # 4: its record was stored, although it never heard of that
        ("complete.after_record", 1, 1),  # 5: its record was there: it must not run again
    ],
)
@story
async def test_a_worker_dies_with_a_job(rig: Rig, point: str, executions: int, delivered: int) -> None:
    """What was not recorded runs again within the lease and 2 s; what was recorded does not."""
    async with rig.connected() as app:
        victim = rig.worker(fault=f"{point}:kill")
        await rig.ready(victim)
        (job_id,) = await rig.enqueue(job(app, "work", 7))
        fault = await rig.struck(victim)
        rescuer = rig.worker()
        report = await rig.verdict("succeeded", "death")
        assert report.seen["executed"] == executions
        record = await rig.broker.get(job_id)
        assert record is not None
        assert (record.delivered, record.attempt) == (delivered, 1)
        if delivered > 1:
            rig.resumed_in_time(fault, rescuer)
        await rig.ready(rescuer)
        await rig.stop(rescuer)


@story
async def test_a_worker_dies_in_the_middle_of_a_thread(rig: Rig) -> None:
    """Fault 2: ten jobs in ten threads, killed from outside; each runs once more."""
    async with rig.connected() as app:
        victim = rig.worker()
        await rig.ready(victim)
        await rig.enqueue(*(job(app, "gated_thread", str(rig.gate())) for _ in range(10)))
        await rig.running(10)
        fault = rig.kill(victim)
        rig.gate().touch()
        rescuer = rig.worker()
        report = await rig.verdict("redelivered", "death")
        rig.resumed_in_time(fault, rescuer)
        assert report.seen["excused"] == 10
        await rig.stop(rescuer)


@pytest.mark.parametrize("delay", [0.1, LEASE + 1.5])
@story
async def test_a_worker_dies_after_a_retry_was_set(rig: Rig, delay: float) -> None:
    """Fault 6: one second attempt, counted once, whether the timer or the failed attempt's redelivery comes first."""
    async with rig.connected() as app:
        victim = rig.worker(fault="retry.after_timer:kill")
        await rig.ready(victim)
        (job_id,) = await rig.enqueue(job(app, "flaky", 7, retry=[delay]))
        await rig.struck(victim)
        rescuer = rig.worker()
        report = await rig.verdict("retried", "death", expected=Expected(attempts={job_id: 2}))
        assert report.seen["executed"] == 2
        await rig.ready(rescuer)
        await rig.stop(rescuer)


@story
async def test_a_worker_dies_between_dead_letter_and_record(rig: Rig) -> None:
    """Fault 7: the failure is gone through again; one dead letter, one record."""
    async with rig.connected() as app:
        victim = rig.worker(fault="discard.after_dead:kill")
        await rig.ready(victim)
        (job_id,) = await rig.enqueue(job(app, "doomed", 7))
        fault = await rig.struck(victim)
        rescuer = rig.worker()
        expected = Expected(states={job_id: JobState.FAILED}, attempts={job_id: 1})
        await rig.verdict("redelivered", "failed", "death", expected=expected)
        rig.resumed_in_time(fault, rescuer)
        assert [letter.id for letter in await rig.broker.dead()] == [job_id]
        await rig.stop(rescuer)


@story
async def test_a_fleet_under_load_loses_a_worker_again_and_again(rig: Rig) -> None:
    """Whatever the points of life at which kill -9 finds the jobs of a busy worker: nothing is lost."""
    async with rig.connected() as app:
        fleet = [rig.worker(), rig.worker()]
        await rig.ready(*fleet)
        await rig.enqueue(*jobs(app, "work", 3000), *jobs(app, "flaky", 300))
        for round_number in range(2):
            done = 300 * (round_number + 1)
            await until(lambda done=done: len(rig.executions("returned")) >= done, "jobs flow")
            rig.kill(fleet.pop(0))
            fleet.append(rig.worker())
        report = await rig.verdict("redelivered", "retried", "death", expected=Expected(within=LEASE + 15.0))
        assert report.seen["succeeded"] == 3300
        await rig.ready(*fleet)
        await rig.stop(*fleet)


@story
async def test_poison_ends_in_the_dead_letters(rig: Rig) -> None:
    """Fault 18: a job kills each worker that takes it, until it was delivered too often; other jobs flow."""
    async with rig.connected() as app:
        victims = [rig.worker("poison", NAQ_CRASH_LIMIT="2") for _ in range(3)]
        bystander = rig.worker("default")
        await rig.ready(*victims, bystander)
        (poison,) = await rig.enqueue(job(app, "poison"))
        for _ in range(2):
            await rig.enqueue(*jobs(app, "work", 50))
            await until(lambda: any(victim.code is not None for victim in victims), "poison strikes")
            dead = next(victim for victim in victims if victim.code is not None)
            victims.remove(dead)
            rig.kill(dead)
        expected = Expected(states={poison: JobState.FAILED}, attempts={poison: 1})
        report = await rig.verdict("poison", "death", expected=expected)
        assert report.seen["executed"] == 2 + 100
        assert [letter.id for letter in await rig.broker.dead()] == [poison]
        await rig.stop(*victims, bystander)


@story
async def test_the_jobs_of_a_dead_worker_are_rescued_long_before_their_lease_ends(rig: Rig) -> None:
    """With leases of 30 s, upkeep hands a dead worker's jobs back as soon as nobody answers for it."""
    async with rig.connected(lease=30.0) as app:
        leader = rig.worker("quiet", NAQ_LEASE="30")
        await rig.ready(leader)
        victim = rig.worker("default", NAQ_LEASE="30")
        await rig.ready(victim)
        await rig.enqueue(*(job(app, "gated", str(rig.gate())) for _ in range(3)))
        await rig.running(3)

        # Its claims are in the registry with its next heartbeat.
        async def registered() -> int:
            return sum(len(info.claims) for info in await rig.broker.workers())

        claims = 0
        while claims < 3:
            claims = await registered()
        fault = rig.kill(victim)
        rig.gate().touch()
        rescuer = rig.worker("default", NAQ_LEASE="30")
        await rig.verdict("redelivered", "death", expected=Expected(within=25.0))
        rig.resumed_in_time(fault, rescuer, within=25.0)
        assert any("handed back" in line.text for line in rig.lines())
        await rig.stop(leader, rescuer)
