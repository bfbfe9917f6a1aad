"""Faults 15 to 17, 19 and 21 to 23: tasks that end in no decent way, or not at all. It costs their own job only."""

from __future__ import annotations

import msgspec
import psutil
import pytest
from rig.fleet import SETTINGS, Rig, story, until
from rig.processes import Process
from rig.specs import job, jobs
from rig.trouble import DEATHS, FAILURES, KINDS, RESULTS
from rig.trouble import app as tasks

from naq.job import JobRecord, JobState
from naq.testing.chaos import Expected

pytestmark = pytest.mark.faults

ERRORS = 16 * 1024  # bytes of all that a record says of an error: message 8 KiB, the rest frames


def serve(rig: Rig, app: str = "rig.trouble:app", **env: str) -> Process:
    """A worker, as users start one."""
    command = ("worker", app, "--log-level", "warning")
    return rig._start("naq", command, {**SETTINGS, "NAQ_BROKER_URL": rig.url, **env})  # pyright: ignore[reportPrivateUsage]


async def failed(rig: Rig, job_id: str) -> JobRecord:
    """The record of a job that must have failed."""
    record = await rig.broker.get(job_id)
    assert record is not None
    assert record.state is JobState.FAILED, record
    return record


def kind_of(record: JobRecord) -> str:
    """The class of the error a job ended with, without its module."""
    assert record.error is not None
    return record.error.type.rpartition(".")[2]


@pytest.mark.parametrize("kind", KINDS)
@story
async def test_a_task_that_ignores_its_timeout_keeps_no_slot(rig: Rig, kind: str) -> None:
    """Fault 15: the timeout is recorded, the only slot is free for the next job, and the worker still ends in order."""
    async with rig.connected():
        worker = serve(rig, NAQ_CONCURRENCY="1")
        await rig.registered(worker)
        (stubborn,) = await rig.enqueue(job(tasks, f"ignore_{kind}", str(rig.gate()), timeout=0.3))
        await rig.running(1)
        await rig.enqueue(*jobs(tasks, "work", 5))
        expected = Expected(states={stubborn: JobState.FAILED}, attempts={stubborn: 1})
        report = await rig.verdict(expected=expected)
        assert report.seen["executed"] == 6
        assert kind_of(await failed(rig, stubborn)) == "TaskTimeoutError"
        (began,) = (op for op in rig.executions() if op.job == stubborn)
        if kind == "process":
            await until(lambda: not psutil.pid_exists(began.pid), "what does not end is killed")
        await rig.stop(worker)


@pytest.mark.parametrize("kind", KINDS)
@story
async def test_a_task_that_ignores_its_cancellation_keeps_no_slot(rig: Rig, kind: str) -> None:
    """Fault 15 by `cancel`: recorded as cancelled, whatever its code makes of that."""
    async with rig.connected():
        worker = serve(rig, NAQ_CONCURRENCY="1")
        await rig.registered(worker)
        (stubborn,) = await rig.enqueue(job(tasks, f"ignore_{kind}", str(rig.gate())))
        await rig.running(1)
        await rig.broker.cancel(stubborn)
        await rig.enqueue(*jobs(tasks, "work", 5))
        report = await rig.verdict(expected=Expected(states={stubborn: JobState.CANCELLED}))
        assert report.seen["executed"] == 6
        await rig.stop(worker)


@pytest.mark.parametrize("how", ["child_memory", "RLIMIT_AS", "SIGKILL"])
@story
async def test_a_child_that_runs_out_of_memory_fails_one_job(rig: Rig, how: str) -> None:
    """Fault 16: by the worker's limit, by one of the system's, and killed as the kernel kills."""
    task, error = ("die_process", "ProcessDied") if how == "SIGKILL" else ("take_process", "MemoryError")
    await loses_one_child(rig, task, how, error, NAQ_CHILD_MEMORY="256")


@pytest.mark.parametrize("how", [*DEATHS, "sys.exit"])
@story
async def test_a_child_that_dies_fails_one_job(rig: Rig, how: str) -> None:
    """Fault 17: a crash in C, an exit past all clean-up, an exit in order."""
    await loses_one_child(rig, "die_process", how, "SystemExit" if how == "sys.exit" else "ProcessDied")


async def loses_one_child(rig: Rig, task: str, how: str, error: str, **env: str) -> None:
    """`task` fails with `error`; siblings in children of the same worker go on, and another child takes its place."""
    async with rig.connected():
        worker = serve(rig, **env)
        siblings = await rig.enqueue(*(job(tasks, "gated_process", str(rig.gate())) for _ in range(3)))
        await rig.running(3)
        before = {op.pid for op in rig.executions()}
        dead = await rig.enqueue(job(tasks, task, how), job(tasks, task, how))
        await until(lambda: len({op.job for op in rig.executions()} & set(dead)) == 2, "they have begun")
        for job_id in dead:
            await rig.broker.wait(job_id, timeout=30.0)
            assert kind_of(await failed(rig, job_id)) == error
        assert worker.code is None
        assert all(map(psutil.pid_exists, before)), "the siblings' children live"
        rig.gate().touch()
        await rig.enqueue(*(job(tasks, "gated_process", str(rig.gate())) for _ in range(10)))
        expected = Expected(states=dict.fromkeys(dead, JobState.FAILED), attempts=dict.fromkeys(dead, 1))
        report = await rig.verdict(expected=expected)
        assert report.seen["executed"] == len(siblings) + len(dead) + 10
        assert {letter.id for letter in await rig.broker.dead()} == set(dead)
        await rig.stop(worker)


@story
async def test_thousands_of_failures_leave_nothing_behind(rig: Rig) -> None:
    """Fault 19: threads, children and open files of a worker are what they were, and its memory stays flat.

    Ten thousand of them, without a broker: tests/worker/test_process_leaks.py.
    """
    async with rig.connected():
        worker = serve(rig, NAQ_CHILD_JOBS="20")
        await rig.registered(worker)
        seen = psutil.Process(worker.pid)

        async def suffer(many: int, few: int) -> None:
            ids = await rig.enqueue(
                *(job(tasks, f"fail_{kind}", "unpicklable") for kind in ("coroutine", "thread") for _ in range(many)),
                *(job(tasks, "fail_process", "unpicklable") for _ in range(few)),
                *(job(tasks, "die_process", "os._exit") for _ in range(few // 10)),
                timeout=60.0,
            )
            ends.update(dict.fromkeys(ids, JobState.FAILED))
            await rig.settle(timeout=60.0)

        ends: dict[str, JobState] = {}
        await suffer(200, 40)
        before = held(seen)
        await suffer(1200, 120)
        report = await rig.verdict("failed", expected=Expected(states=ends, within=100.0))
        assert report.seen["failed"] == len(ends)
        await until(lambda: within(held(seen), before), f"from {held(seen)} back to {before}")
        await rig.stop(worker)


def held(process: psutil.Process) -> dict[str, int]:
    """What a process holds, with its children."""
    return {
        "files": process.num_fds(),
        "threads": process.num_threads(),
        "children": len(process.children(recursive=True)),
        "MiB": process.memory_info().rss // 2**20,
    }


def within(now: dict[str, int], before: dict[str, int]) -> bool:
    """Whether no more is held than before, but for one idle child more or less and what memory fragments."""
    slack = {"files": 10, "threads": 2, "children": 2, "MiB": 40}
    return all(now[name] <= before[name] + slack[name] for name in before)


@story
async def test_a_worker_with_old_code_leaves_new_jobs_to_others(rig: Rig) -> None:
    """Fault 21: it does not know their task. They wait, visibly, their attempt unspent, until a new worker comes."""
    async with rig.connected():
        old = serve(rig, "rig.serving:app")
        await rig.registered(old)
        ids = await rig.enqueue(*(job(tasks, "fail_coroutine", "huge") for _ in range(3)))
        await rig.enqueue(*jobs(tasks, "work", 50))
        await until(lambda: len(rig.executions("returned")) == 50, "jobs that it knows flow")
        await until(lambda: any("fail_coroutine" in line.text for line in rig.lines()), "it says what it does not know")
        for job_id in ids:
            record = await rig.broker.get(job_id)
            assert record is not None
            assert record.state in {JobState.QUEUED, JobState.SCHEDULED, JobState.RUNNING}
            assert record.attempt == 1
        assert await rig.broker.dead() == []
        new = serve(rig)
        expected = Expected(states=dict.fromkeys(ids, JobState.FAILED), attempts=dict.fromkeys(ids, 1))
        report = await rig.verdict("failed", expected=expected)
        assert report.seen["executed"] == 53
        assert {op.pid for op in rig.executions() if op.job in ids} == {new.pid}
        await rig.stop(old, new)


@story
async def test_whatever_is_raised_is_recorded_as_data_of_bearable_size(rig: Rig) -> None:
    """Fault 22: no exception is too deep, too large or too odd, and none harms the worker or the jobs beside it."""
    async with rig.connected():
        worker = serve(rig)
        await rig.registered(worker)
        made = {(kind, how): job(tasks, f"fail_{kind}", how, retry=[0.05]) for kind in KINDS for how in FAILURES}
        ids = await rig.enqueue(*made.values())
        await rig.enqueue(*jobs(tasks, "work", 50))
        expected = Expected(states=dict.fromkeys(ids, JobState.FAILED), attempts=dict.fromkeys(ids, 2))
        report = await rig.verdict("failed", "retried", expected=expected)
        assert report.seen["executed"] == 2 * len(made) + 50
        for (kind, how), spec in made.items():
            record = await failed(rig, spec.id)
            assert len(record.errors) == 2, (kind, how)
            assert all(error.message for error in record.errors), (kind, how)
            assert max(len(msgspec.json.encode(error)) for error in record.errors) <= ERRORS, (kind, how)
        letters = await rig.broker.dead(limit=100)
        assert sorted(letter.id for letter in letters) == sorted(ids)
        assert worker.code is None
        await rig.stop(worker)


@story
async def test_results_that_cannot_be_stored_are_a_clear_failure(rig: Rig) -> None:
    """Fault 23: not tried again, as that would change nothing; one record, which says what was wrong."""
    async with rig.connected():
        worker = serve(rig)
        await rig.registered(worker)
        made = {(kind, how): job(tasks, f"answer_{kind}", how, retry=[0.05]) for kind in KINDS for how in RESULTS}
        ids = await rig.enqueue(*made.values())
        await rig.enqueue(*jobs(tasks, "work", 50))
        expected = Expected(states=dict.fromkeys(ids, JobState.FAILED), attempts=dict.fromkeys(ids, 1))
        report = await rig.verdict("failed", expected=expected)
        assert report.seen["executed"] == len(made) + 50
        for (kind, how), spec in made.items():
            record = await failed(rig, spec.id)
            wanted = "PayloadTooLarge" if how == "over the limit" else "SerializationError"
            assert kind_of(record) == wanted, (kind, how, record.error)
            assert record.error is not None
            assert f"answer_{kind}" in record.error.message, (kind, how, record.error.message)
        await rig.stop(worker)
