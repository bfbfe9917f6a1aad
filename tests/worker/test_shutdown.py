"""Stopping: nothing is lost, nothing runs twice for it, and it ends in time."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from naq import Naq
from naq.exceptions import NaqException
from naq.job import JobState
from naq.worker import Worker, drain
from tests.tools import DEADLINE, ended, make_app, run, running_state, store, until, until_so, working


async def start(app: Naq, **options: Any) -> tuple[Worker, asyncio.Task[None]]:
    worker = Worker(app, **options)
    task = asyncio.create_task(worker.run())
    await asyncio.wait_for(worker.wait_ready(), DEADLINE)
    return worker, task


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_running_jobs_may_end_within_the_timeout_and_nothing_more_is_claimed(kind: str) -> None:
    app = make_app()
    release = threading.Event()

    async def async_body() -> str:
        await until(release.is_set)
        return "done"

    def body() -> str:
        assert release.wait(DEADLINE)
        return "done"

    task: Any = app.task(name="task")(async_body if kind == "async" else body)

    async def test() -> None:
        worker, running = await start(app, concurrency=1)
        first = await task.enqueue()
        await running_state(first)
        second = await task.enqueue()
        worker.stop()
        async with store(app) as backend:

            async def says_so() -> bool:
                return [info.state for info in await backend.workers()] == ["stopping"]

            await until_so(says_so)
        assert not running.done()
        release.set()
        await asyncio.wait_for(running, DEADLINE)
        assert await first.result(timeout=1) == "done"
        assert await second.status() is JobState.QUEUED
        async with store(app) as backend:
            assert await backend.workers() == []
        await app.close()

    run(test())


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_what_does_not_end_in_time_goes_back_and_its_attempt_does_not_count(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "GRACE", 0.1)
    app = make_app(shutdown_timeout=0.1)
    release = threading.Event()
    runs: list[int] = []

    async def async_body() -> str:
        runs.append(1)
        if len(runs) == 1:
            await asyncio.sleep(60)
        return "second time"

    def body() -> str:
        runs.append(1)
        if len(runs) == 1:
            release.wait(DEADLINE)
        return "second time"

    task: Any = app.task(name="task", retries=1)(async_body if kind == "async" else body)

    async def test() -> None:
        worker, running = await start(app)
        job = await task.enqueue()
        await running_state(job)
        worker.stop()
        began = time.monotonic()
        await asyncio.wait_for(running, DEADLINE)
        assert time.monotonic() - began < 2
        assert worker.left_behind == (1 if kind == "sync" else 0)
        assert await job.status() is JobState.QUEUED
        async with working(app):
            record = await ended(job)
        assert (record.state, record.attempt, record.delivered) == (JobState.SUCCEEDED, 1, 2)
        release.set()

    run(test())


def test_a_thread_that_ends_within_the_grace_has_its_outcome_kept() -> None:
    app = make_app(shutdown_timeout=0.1)

    @app.task(name="task")
    def task() -> str:
        from naq import current_context

        while not current_context().is_cancelled:
            time.sleep(0.005)
        return "done"

    async def test() -> None:
        worker, running = await start(app)
        job = await task.enqueue()
        await running_state(job)
        worker.stop()
        await asyncio.wait_for(running, DEADLINE)
        assert await job.result(timeout=1) == "done"
        await app.close()

    run(test())


def test_a_second_stop_is_now() -> None:
    app = make_app(shutdown_timeout=60)
    release = asyncio.Event()

    @app.task(name="deaf")
    async def deaf() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    @app.task(name="slow")
    async def slow() -> None:
        await asyncio.sleep(60)

    async def test() -> None:
        worker, running = await start(app)
        jobs = [await deaf.enqueue(), await slow.enqueue()]
        for job in jobs:
            await running_state(job)
        worker.stop()
        worker.stop()
        began = time.monotonic()
        await asyncio.wait_for(running, DEADLINE)
        took, states = time.monotonic() - began, [await job.status() for job in jobs]
        release.set()  # or this program would not end
        await app.close()
        await until(lambda: len(asyncio.all_tasks()) == 1)
        assert took < 3
        assert worker.left_behind == 1
        assert states == [JobState.QUEUED] * 2

    run(test())


def test_cancelling_run_puts_jobs_back_and_counts_no_attempt() -> None:
    """As `asyncio.run` does when the program ends: it cancels the worker and every job's task at once."""
    app = make_app(shutdown_timeout=60)

    @app.task(name="slow")
    async def slow() -> None:
        await asyncio.sleep(60)

    async def test() -> None:
        _worker, running = await start(app)
        job = await slow.enqueue()
        await running_state(job)
        me = asyncio.current_task()
        for task in asyncio.all_tasks() - {me}:
            task.cancel()
        await asyncio.wait([running])
        assert running.cancelled()
        await until(lambda: asyncio.all_tasks() == {me})
        record = await job.record()
        assert (record.state, record.attempt, record.errors) == (JobState.QUEUED, 1, [])
        await app.close()

    run(test())


def test_a_worker_runs_once_and_may_be_stopped_before_it_runs() -> None:
    app = make_app()

    async def test() -> None:
        worker = Worker(app)
        worker.stop()
        await asyncio.wait_for(worker.run(), DEADLINE)
        with pytest.raises(NaqException, match="run already"):
            await worker.run()

    run(test())
