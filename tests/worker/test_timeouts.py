"""Jobs that run too long."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from naq import Retry, TaskTimeoutError, current_context
from naq.job import JobState
from naq.worker import executor
from tests.tools import ended, make_app, run, until, working


def test_a_coroutine_is_cancelled_and_the_job_says_so() -> None:
    app = make_app()
    cancelled: list[int] = []

    @app.task(name="slow", timeout=0.05, retry=Retry(max_attempts=2, base=0.0))
    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(current_context().attempt)
            raise

    async def test() -> None:
        async with working(app):
            job = await slow.enqueue()
            with pytest.raises(TaskTimeoutError, match=r"0\.05 s"):
                await job.result(timeout=5)
            record = await job.record()
        assert cancelled == [1, 2], "a timeout is a failed attempt, so the policy retries it"
        assert [error.type for error in record.errors] == ["naq.exceptions.TaskTimeoutError"] * 2

    run(test())


@pytest.mark.parametrize("makes_of_it", ["returns", "raises"])
def test_what_code_makes_of_its_cancellation_changes_nothing(makes_of_it: str) -> None:
    app = make_app()

    @app.task(name="stubborn", timeout=0.05)
    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if makes_of_it == "raises":
                raise ValueError("other") from None
        return "as if nothing had been"

    async def test() -> None:
        async with working(app):
            record = await ended(await stubborn.enqueue())
        assert (record.state, record.errors[0].type) == (JobState.FAILED, "naq.exceptions.TaskTimeoutError")

    run(test())


def test_code_that_ignores_its_cancellation_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor.Executor.interrupt, "__kwdefaults__", {"grace": 0.1})
    app = make_app()
    release = asyncio.Event()
    out: list[str] = []

    @app.task(name="deaf", timeout=0.05)
    async def deaf() -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        out.append("out")
        return "too late"

    @app.task(name="quick")
    async def quick() -> int:
        return 1

    async def test() -> None:
        async with working(app, concurrency=1) as worker:
            record = await ended(await deaf.enqueue())
            assert record.errors[0].type == "naq.exceptions.TaskTimeoutError"
            assert await (await quick.enqueue()).result(timeout=5) == 1, "its slot is free"
            assert out == []
            release.set()
            await until(lambda: out)
        assert worker.processed == 2

    run(test())


def test_a_thread_cannot_be_ended_but_its_slot_is_replaced() -> None:
    app = make_app()
    release = threading.Event()
    told: list[bool] = []

    @app.task(name="stuck", timeout=0.05)
    def stuck() -> str:
        release.wait(10)
        told.append(current_context().is_cancelled)
        return "too late"

    @app.task(name="quick")
    def quick() -> int:
        return 1

    async def test() -> None:
        async with working(app, concurrency=1):
            record = await ended(await stuck.enqueue())
            assert (record.state, record.errors[0].type) == (JobState.FAILED, "naq.exceptions.TaskTimeoutError")
            assert await (await quick.enqueue()).result(timeout=5) == 1
            release.set()
            await until(lambda: told)
        assert told == [True], "the function can look, and end by itself"

    run(test())


def test_a_job_may_carry_a_timeout_of_its_own() -> None:
    app = make_app()

    @app.task(name="slow", timeout=60)
    async def slow() -> None:
        await asyncio.sleep(60)

    async def test() -> None:
        async with working(app):
            record = await ended(await slow.options(timeout=0.05).enqueue())
        assert record.errors[0].type == "naq.exceptions.TaskTimeoutError"

    run(test())


def test_timeouts_of_the_tasks_own_making_are_its_failures() -> None:
    app = make_app()

    @app.task(name="own", timeout=60)
    async def own(how: str) -> None:
        if how == "timeout":
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        inner = asyncio.get_running_loop().create_future()
        inner.cancel()
        await inner

    async def test() -> None:
        async with working(app):
            timeout, cancelled = await ended(await own.enqueue("timeout")), await ended(await own.enqueue("cancel"))
        assert timeout.errors[0].type == "builtins.TimeoutError"
        assert cancelled.errors[0].type == "asyncio.exceptions.CancelledError"
        assert (timeout.state, cancelled.state) == (JobState.FAILED, JobState.FAILED)

    run(test())


def test_a_timeout_leaves_the_settling_alone() -> None:
    """The task is cancelled while its code runs, never while the backend is being told."""
    app = make_app()
    values: list[Any] = []

    @app.task(name="edge", timeout=0.02)
    async def edge() -> str:
        time.sleep(0.05)  # noqa: ASYNC251  over the time when it returns, so that the timer is due at once
        return "done"

    async def test() -> None:
        async with working(app):
            values.extend([await (await edge.enqueue()).result(timeout=5) for _ in range(5)])

    run(test())
    assert values == ["done"] * 5
