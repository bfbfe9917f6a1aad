"""Cancelling: a waiting job never runs, a running one is told."""

from __future__ import annotations

import asyncio
import threading

import pytest

from naq import JobCancelled, current_context
from naq.backends.base import CancelResult, Signal
from naq.backends.memory import MemoryBackend
from naq.job import JobState
from tests.tools import ended, make_app, run, running_state, until, working


@pytest.mark.parametrize("signals", ["heard", "lost"])
def test_a_running_coroutine_is_cancelled(signals: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if signals == "lost":  # the lease keeper learns of it by itself

        async def lose(self: MemoryBackend, signal: Signal) -> None:
            return None

        monkeypatch.setattr(MemoryBackend, "send", lose)
    app = make_app(lease=0.9)
    cleaned: list[int] = []

    @app.task(name="slow", retries=5)
    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append(1)

    async def test() -> None:
        async with working(app):
            job = await slow.enqueue()
            await running_state(job)
            await until(lambda: len(asyncio.all_tasks()) > 0)
            assert await job.cancel() is CancelResult.REQUESTED
            with pytest.raises(JobCancelled):
                await job.result(timeout=5)
        assert cleaned == [1]

    run(test())


def test_a_running_thread_is_told() -> None:
    app = make_app(lease=0.9)
    ended_by_itself = threading.Event()

    @app.task(name="slow")
    def slow() -> None:
        context = current_context()
        pause = threading.Event()
        while not context.is_cancelled:
            pause.wait(0.01)
        ended_by_itself.set()

    async def test() -> None:
        async with working(app):
            job = await slow.enqueue()
            await running_state(job)
            await job.cancel()
            assert (await ended(job)).state is JobState.CANCELLED
            await until(ended_by_itself.is_set)

    run(test())


def test_a_waiting_job_never_runs() -> None:
    app = make_app()
    runs: list[int] = []

    @app.task(name="task")
    async def task() -> None:
        runs.append(1)

    async def test() -> None:
        job, other = await task.options(delay=0.2).enqueue(), await task.options(delay=0.3).enqueue()
        assert await job.cancel() is CancelResult.REMOVED
        async with working(app):
            await ended(other)
        assert runs == [1]

    run(test())


def test_a_job_cancelled_while_its_worker_was_dead_is_not_run_again() -> None:
    from tests.tools import take

    app = make_app(lease=0.3)
    runs: list[int] = []

    @app.task(name="task")
    async def task() -> None:
        runs.append(1)

    async def test() -> None:
        job = await task.enqueue()
        await take(app, lease=0.3)
        assert await job.cancel() is CancelResult.REQUESTED
        async with working(app):
            record = await ended(job)
        assert (record.state, record.task, runs) == (JobState.CANCELLED, "task", [])

    run(test())


def test_cancel_and_completion_never_both() -> None:
    app = make_app()

    @app.task(name="quick")
    async def quick(pauses: int) -> str:
        for _ in range(pauses):
            await asyncio.sleep(0)
        return "done"

    async def test() -> None:
        async with working(app):
            for pauses in range(40):
                job = await quick.enqueue(pauses)
                for _ in range(pauses // 2):
                    await asyncio.sleep(0)
                await job.cancel()
                record = await ended(job)
                assert record.state in {JobState.CANCELLED, JobState.SUCCEEDED}
                assert (record.result is not None) == (record.state is JobState.SUCCEEDED)
                await asyncio.sleep(0)
                assert (await job.record()).state is record.state

    run(test())
