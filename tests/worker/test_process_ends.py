"""How child processes end: killed, crashed, used up, or with their worker. Each takes at most one job along."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path

import process_tasks
import psutil
import pytest
from process_tools import begun, gone, is_gone, result, serving, start, story

from naq.job import JobState
from tests.tools import ended, until


@pytest.mark.parametrize("how", ["os._exit", "SIGKILL", "SIGSEGV", "SIGABRT"])
def test_the_death_of_a_child_is_a_failure_of_its_job_alone(how: str, tmp_path: Path) -> None:
    """Faults 16 and 17: a sibling goes on, the next job gets another child."""
    gate = tmp_path / "gate"

    async def test() -> None:
        async with serving() as (app, _):
            sibling = await start(app, "wait_for", str(gate), str(tmp_path / "begun"))
            await begun(tmp_path / "begun")
            record = await ended(await start(app, "die", how))
            assert record.state is JobState.FAILED
            assert record.error is not None
            assert record.error.type == "naq.exceptions.ProcessDied"
            assert ("code 7" if how == "os._exit" else how) in record.error.message
            assert await result(app, "where") != os.getpid()
            gate.touch()
            assert await sibling.result(timeout=10) == "found"

    story(test())


def test_the_retry_policy_decides_over_a_death_as_over_any_failure(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving() as (app, _):
            record = await ended(await start(app, "die_once", str(tmp_path)))
            assert (record.state, record.attempt) == (JobState.SUCCEEDED, 2)

    story(test())


def test_a_job_that_takes_too_much_memory_fails_and_its_child_is_replaced() -> None:
    """Fault 16: the bound is counted from what the child has when it is ready."""

    async def test() -> None:
        async with serving(process_tasks.build(child_memory=64)) as (app, _):
            before = await result(app, "where")
            record = await ended(await start(app, "take", 256))
            assert record.state is JobState.FAILED
            assert record.error is not None
            assert record.error.type == "builtins.MemoryError"
            assert await result(app, "take", 16) == 16 * 1024 * 1024
            assert await result(app, "where") != before
            await gone(before)

    story(test())


def test_children_are_replaced_after_so_many_jobs() -> None:
    async def test() -> None:
        async with serving(process_tasks.build(child_jobs=2)) as (app, _):
            ran = [await result(app, "nth") for _ in range(4)]
            assert [number for _, number in ran] == [1, 2, 1, 2]
            assert ran[0][0] != ran[2][0]
            await gone(ran[0][0])

    story(test())


def test_children_are_replaced_when_they_hold_too_much() -> None:
    async def test() -> None:
        async with serving(process_tasks.build(child_rss=1)) as (app, _):
            assert [(await result(app, "nth"))[1] for _ in range(2)] == [1, 1]

    story(test())


def test_a_timeout_kills(tmp_path: Path) -> None:
    """Fault 15: code that cares for nothing ends, and its slot is free."""

    async def test() -> None:
        async with serving(concurrency=1) as (app, _):
            job = await start(app, "hasty", str(tmp_path / "never"), str(tmp_path / "begun"))
            pid = await begun(tmp_path / "begun")
            record = await ended(job)
            assert record.error is not None
            assert record.error.type == "naq.exceptions.TaskTimeoutError"
            assert is_gone(pid), "the outcome is recorded when the code has ended, not before"
            assert await result(app, "where") != pid

    story(test())


def test_the_time_of_a_job_begins_when_its_child_is_there(tmp_path: Path) -> None:
    (tmp_path / "gate").touch()

    async def test() -> None:
        async with serving() as (app, _):
            job = (
                await app.get_task("wait_for").options(timeout=0.5).enqueue(str(tmp_path / "gate"), str(tmp_path / "b"))
            )
            assert await job.result(timeout=10) == "found", "importing is not the job's"

    story(test())


@pytest.mark.parametrize(("task", "last"), [("listen", "told"), ("sleep", "cleaned up")])
def test_a_cancelled_job_is_told_first(task: str, last: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with serving() as (app, _):
            job = await start(app, task, str(tmp_path / "begun"))
            pid = await begun(tmp_path / "begun")
            await job.cancel()
            record = await ended(job)
            assert record.state is JobState.CANCELLED
            assert (tmp_path / "begun").read_text() == last
            assert await result(app, "where") == pid, "it ended by itself, so its child lives"

    story(test())


def test_a_cancelled_job_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("naq.worker.processes.pool.GRACE", 0.1)

    async def test() -> None:
        async with serving() as (app, _):
            job = await start(app, "wait_for", str(tmp_path / "never"), str(tmp_path / "begun"))
            pid = await begun(tmp_path / "begun")
            await job.cancel()
            assert (await ended(job)).state is JobState.CANCELLED
            assert is_gone(pid)

    story(test())


def test_what_a_task_has_started_is_killed_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("naq.worker.processes.pool.GRACE", 0.1)

    async def test() -> None:
        async with serving() as (app, _):
            job = await start(app, "parent", str(tmp_path / "begun"))
            grandchild = await begun(tmp_path / "begun")
            await job.cancel()
            assert (await ended(job)).state is JobState.CANCELLED
            await gone(grandchild)

    story(test())


def test_a_stopping_worker_puts_back_what_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("naq.worker.processes.pool.GRACE", 0.1)
    app = process_tasks.build(shutdown_timeout=0.05)

    async def test() -> None:
        async with app:  # keeps the store
            async with serving(app):
                job = await start(app, "wait_for", str(tmp_path / "never"), str(tmp_path / "begun"))
                pid = await begun(tmp_path / "begun")
            await gone(pid)
            await app.connect()
            record = await job.record()
            assert (record.state, record.attempt) == (JobState.QUEUED, 1)

    story(test())


def test_a_child_that_dies_idle_is_nobodys_failure() -> None:
    async def test() -> None:
        async with serving() as (app, _):
            pid = await result(app, "where")
            os.kill(pid, signal.SIGKILL)
            # Whether its worker has noticed yet or not.
            assert await result(app, "where") != pid

    story(test())


def test_children_that_cannot_import_put_their_jobs_back(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("naq.worker.runner.NO_CHILD", 0.05)
    monkeypatch.setattr("naq.worker.processes.pool.PAUSE_FIRST", 0.05)

    async def test() -> None:
        async with serving(source="no_such_module:app") as (app, worker):
            job = await start(app, "where")
            await until(lambda: worker.processed >= 2, "it was put back, and came again")
            assert (await job.record()).attempt == 1
            assert await result(app, "thread", 7) == 7, "other tasks run"

    caplog.set_level(logging.ERROR)
    story(test())
    assert "there is no module 'no_such_module'" in caplog.text


def test_many_at_once() -> None:
    async def test() -> None:
        async with serving(concurrency=8) as (app, _):
            jobs = await app.enqueue_many([app.get_task("echo").call(n) for n in range(100)])
            assert [await job.result(timeout=20) for job in jobs] == list(range(100))
            children = psutil.Process().children()
            assert 1 <= len(children) <= 8

    story(test())


def test_more_jobs_at_once_than_children_may_start_at_a_time(tmp_path: Path) -> None:
    gate, count = tmp_path / "gate", (os.cpu_count() or 1) + 2

    async def test() -> None:
        async with serving(concurrency=count) as (app, _):
            jobs = [await start(app, "wait_for", str(gate), str(tmp_path / f"{n}")) for n in range(count)]
            pids = {await begun(tmp_path / f"{n}") for n in range(count)}
            assert len(pids) == count, "each has a child of its own"
            gate.touch()
            for job in jobs:
                await job.result(timeout=10)

    story(test())


def test_a_worker_that_is_cancelled_takes_its_children_along(tmp_path: Path) -> None:
    from naq.worker import Worker
    from tests.tools import DEADLINE

    app = process_tasks.build()

    async def test() -> None:
        worker = Worker(app)
        running = asyncio.create_task(worker.run())
        await worker.wait_ready()
        await start(app, "wait_for", str(tmp_path / "never"), str(tmp_path / "begun"))
        pid = await begun(tmp_path / "begun")
        running.cancel()
        async with asyncio.timeout(DEADLINE):
            await asyncio.wait([running])
        assert is_gone(pid)
        await app.close()

    story(test())
