"""Faults 9 to 13: a worker is told to end, is frozen, or blocks its own event loop. Nothing runs twice for that, except
what a worker that was out of reach past its lease had begun; and nothing that it says afterwards counts."""

from __future__ import annotations

import asyncio
import signal

import pytest
from rig.fleet import LEASE, Rig, story, until
from rig.specs import job

from naq import clock
from naq.cli.exits import Exit
from naq.testing.chaos import Expected

pytestmark = pytest.mark.faults
LONG = 30.0  # seconds of lease where a job that comes back must have been handed back, not lapsed


@story
async def test_a_deploy_hands_long_jobs_to_another_worker(rig: Rig) -> None:
    """Fault 9: SIGTERM with a grace shorter than the jobs: they start elsewhere within 2 s, their attempt unspent."""
    async with rig.connected(lease=LONG) as app:
        old = rig.command(NAQ_LEASE=f"{LONG}", NAQ_SHUTDOWN_TIMEOUT="0.5")
        await rig.registered(old)
        ids = await rig.enqueue(*(job(app, "gated", str(rig.gate())) for _ in range(8)))
        await rig.running(8)
        new = rig.worker(NAQ_LEASE=f"{LONG}")
        await rig.ready(new)
        with rig.breaking("SIGTERM", "shutdown", pid=old.pid):
            old.send(signal.SIGTERM)
            await rig.ended(old, 0)
        await rig.running(8, pid=new.pid)
        released = {op.job: op.at for op in rig.executions("interrupted", pid=old.pid)}
        resumed = {op.job: op.at for op in rig.executions("start", pid=new.pid)}
        assert max(resumed[job_id] - released[job_id] for job_id in ids) <= 2.0
        rig.gate().touch()
        expected = Expected(attempts=dict.fromkeys(ids, 1))
        report = await rig.verdict("shutdown", "interrupted", "redelivered", "excused", expected=expected)
        assert report.seen["executed"] == 16
        await rig.stop(new)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@story
async def test_asked_twice_a_worker_ends_at_once(rig: Rig, number: signal.Signals) -> None:
    """Fault 10: the second signal means now, threads or not; no traceback, and nothing is lost."""
    async with rig.connected(lease=LONG) as app:
        old = rig.command(NAQ_LEASE=f"{LONG}", NAQ_SHUTDOWN_TIMEOUT="60")
        await rig.registered(old)
        ids = await rig.enqueue(
            *(job(app, "gated", str(rig.gate())) for _ in range(4)),
            *(job(app, "gated_thread", str(rig.gate())) for _ in range(4)),
        )
        await rig.running(8)
        with rig.breaking(f"{number.name} twice", "shutdown", pid=old.pid):
            old.send(number)
            await rig.registered(old, "stopping")
            assert await rig.ended_jobs(ids) == []
            old.send(number)
            await rig.ended(old, Exit.INTERRUPTED, timeout=10.0)
        rig.gate().touch()
        new = rig.worker(NAQ_LEASE=f"{LONG}")
        await rig.verdict("shutdown", "interrupted", "excused", expected=Expected(attempts=dict.fromkeys(ids, 1)))
        await rig.stop(new)


@story
async def test_a_worker_that_was_frozen_past_its_lease_settles_nothing(rig: Rig) -> None:
    """Fault 11: when it goes on, its tasks end at once, but the jobs are another worker's by then and still run."""
    async with rig.connected() as app:
        frozen = rig.worker()
        await rig.ready(frozen)
        gate = str(rig.gate("{pid}.gate"))
        tasks = ["gated"] * 3 + ["gated_thread"] * 3
        ids = await rig.enqueue(*(job(app, task, gate) for task in tasks))
        await rig.running(6)
        with rig.breaking("SIGSTOP past the lease", "cut_off", pid=frozen.pid):
            frozen.send(signal.SIGSTOP)
            other = rig.worker()
            await rig.running(6, pid=other.pid)
            rig.gate(f"{frozen.pid}.gate").touch()
            frozen.send(signal.SIGCONT)
        # Once it has ended, whatever it had to say is said.
        await rig.stop(frozen)
        assert await rig.ended_jobs(ids) == []
        rig.gate(f"{other.pid}.gate").touch()
        report = await rig.verdict("lease lost", "redelivered", "excused")
        assert report.seen["executed"] == 12
        for job_id in ids:
            record = await rig.broker.get(job_id)
            assert record is not None
            assert record.worker.startswith(f"w{other.pid}-")
        await rig.stop(other)


@story
async def test_a_pause_shorter_than_the_lease_costs_nothing(rig: Rig) -> None:
    """Fault 12: another worker stands by for a whole lease and gets none of the jobs."""
    lease = LEASE + 1.0
    async with rig.connected(lease=lease) as app:
        paused = rig.worker(NAQ_LEASE=f"{lease}")
        await rig.ready(paused)
        await rig.enqueue(*(job(app, "gated", str(rig.gate())) for _ in range(5)))
        await rig.running(5)
        idle = rig.worker(NAQ_LEASE=f"{lease}")
        await rig.ready(idle)
        with rig.breaking("SIGSTOP shorter than the lease", "nothing", pid=paused.pid):
            paused.send(signal.SIGSTOP)
            await asyncio.sleep(lease / 4)  # the fault itself: that long it is frozen
            paused.send(signal.SIGCONT)
        lapsed = clock.now() + lease + 0.5
        await until(lambda: clock.now() > lapsed, "a lease has passed")
        rig.gate().touch()
        report = await rig.verdict("succeeded")
        assert report.seen["executed"] == 5
        await rig.stop(paused, idle)


@story
async def test_a_task_that_blocks_the_event_loop_for_three_leases_runs_once(rig: Rig) -> None:
    """Fault 13: the lease is kept all the while, and somebody is told which task it is."""
    async with rig.connected() as app:
        blocked = rig.worker()
        await rig.ready(blocked)
        await rig.enqueue(job(app, "blocking", 3 * LEASE))
        await rig.running(1)
        idle = rig.worker()
        report = await rig.verdict("blocked")
        assert report.seen["executed"] == 1
        assert any("task blocking" in line.text for line in rig.lines())
        await rig.stop(blocked, idle)
