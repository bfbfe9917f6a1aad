"""Faults 2, 14 and 20: child processes, code that holds the interpreter, and supervisors that die."""

from __future__ import annotations

import signal
import time

import psutil
import pytest
from rig.fleet import SETTINGS, Rig, story, until
from rig.process_serving import app as tasks
from rig.processes import Process
from rig.specs import job, jobs

from naq.job import JobState

pytestmark = pytest.mark.faults

ORPHANS = 5.0  # seconds in which the children of a dead parent must be gone


def serve(rig: Rig, *args: str, **env: str) -> Process:
    """A worker, or several, as users start them."""
    command = ("worker", "rig.process_serving:app", "--log-level", "warning", *args)
    return rig._start("naq", command, {**SETTINGS, "NAQ_BROKER_URL": rig.url, **env})  # pyright: ignore[reportPrivateUsage]


def kill(rig: Rig, victim: Process) -> None:
    """Kill `victim` alone; insist that all it had started goes as well, and note what died where."""
    family = psutil.Process(victim.pid).children(recursive=True)
    assert family
    since = time.time()
    victim.send(signal.SIGKILL)
    _, left = psutil.wait_procs(family, timeout=ORPHANS)
    for process in left:
        process.kill()
    assert not left, f"orphans: {left}"
    for pid in {execution.pid for execution in rig.executions()}:
        rig.note(f"{victim.name} was killed, and {pid} went with it", "death", since=since, pid=pid)


@story
async def test_a_worker_dies_in_the_middle_of_a_process(rig: Rig) -> None:
    """Fault 2: its children die at once, and their jobs run once more elsewhere."""
    async with rig.connected():
        victim = serve(rig)
        await rig.enqueue(*(job(tasks, "gated_process", str(rig.gate())) for _ in range(3)))
        await rig.running(3)
        kill(rig, victim)
        rig.gate().touch()
        rescuer = serve(rig)
        report = await rig.verdict("redelivered", "death")
        assert report.seen["excused"] == 3
        await rig.stop(rescuer)


@story
async def test_a_supervisor_dies(rig: Rig) -> None:
    """Fault 20: its workers and their children are gone within 5 s, and no job is."""
    async with rig.connected():
        victim = serve(rig, "--processes", "2")
        gate = str(rig.gate())
        for task in ("gated", "gated_thread", "gated_process"):
            await rig.enqueue(*(job(tasks, task, gate) for _ in range(3)))
        await rig.running(9)
        kill(rig, victim)
        rig.gate().touch()
        rescuer = serve(rig)
        report = await rig.verdict("redelivered", "death")
        assert report.seen["excused"] == 9
        await rig.stop(rescuer)


@story
async def test_a_process_that_holds_its_interpreter_for_three_leases(rig: Rig) -> None:
    """Fault 14: its worker renews the lease, so it runs once, although another worker stands by."""
    async with rig.connected():
        workers = [serve(rig, NAQ_LEASE="1") for _ in range(2)]
        for worker in workers:
            await rig.registered(worker)
        (job_id,) = await rig.enqueue(job(tasks, "holding_process", 3.5))
        report = await rig.verdict()
        assert report.seen["executed"] == 1
        record = await rig.broker.get(job_id)
        assert record is not None
        assert (record.state, record.delivered) == (JobState.SUCCEEDED, 1)
        await rig.stop(*workers)


@story
async def test_a_coroutine_that_holds_its_interpreter_for_three_leases(rig: Rig) -> None:
    """Fault 14, the documented limit: nothing of its worker runs, so the job goes to another. One record, still."""
    async with rig.connected():
        victim = serve(rig, NAQ_LEASE="1")
        await rig.registered(victim)
        since = time.time()
        (job_id,) = await rig.enqueue(job(tasks, "holding_once", str(rig.gate("mark")), 4.0))
        await rig.running(1)
        rescuer = serve(rig, NAQ_LEASE="1")
        await until(lambda: rig.executions(pid=rescuer.pid), "another worker takes it")
        rig.note("holds its interpreter", "cut_off", since=since, pid=victim.pid)
        report = await rig.verdict("redelivered")
        assert report.seen["executed"] == 2
        record = await rig.broker.get(job_id)
        assert record is not None
        assert (record.state, bytes(record.result or b"")) == (JobState.SUCCEEDED, b"0.0"), "the stale one is dropped"
        await rig.stop(victim, rescuer)


@story
async def test_workers_are_relieved_under_load(rig: Rig) -> None:
    """Recycling loses nothing and repeats nothing: what runs goes on, beside the worker's replacement."""
    async with rig.connected():
        supervisor = serve(rig, "--processes", "2", "--max-jobs", "20", NAQ_SHUTDOWN_TIMEOUT="0.1")
        await rig.enqueue(*(job(tasks, "gated_thread", str(rig.gate())) for _ in range(8)))
        await rig.running(8)
        first = {execution.pid for execution in rig.executions()}
        await rig.enqueue(*jobs(tasks, "work", 100))
        await until(lambda: len(rig.executions("returned")) == 100, "all have run")
        await until(
            lambda: len(psutil.Process(supervisor.pid).children()) > 2, "another worker beside those that drain"
        )
        rig.gate().touch()
        await until(lambda: not any(map(psutil.pid_exists, first)), "they have ended")
        await rig.enqueue(*jobs(tasks, "work", 10))
        report = await rig.verdict()
        assert report.seen["executed"] == 118
        assert len({execution.pid for execution in rig.executions()}) > len(first)
        await rig.stop(supervisor)
