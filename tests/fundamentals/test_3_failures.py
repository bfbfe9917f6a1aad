"""Chapter 3: what happens when a task fails, and how it says how it ended."""

import asyncio

import pytest
from running import new_app, working

from naq import (
    CancelJob,
    DiscardJob,
    JobCancelled,
    JobExecutionError,
    JobState,
    Retry,
    RetryJob,
    SnoozeJob,
    TaskTimeoutError,
    current_context,
)

AT_ONCE = Retry(max_attempts=3, delays=(0.0,))


def test_without_a_policy_a_task_is_tried_once() -> None:
    app = new_app()

    @app.task(name="fail")
    async def fail() -> None:
        raise ValueError("no such card")

    async def main() -> None:
        async with working(app):
            job = await fail.enqueue()
            with pytest.raises(JobExecutionError, match=r"task 'fail' failed at attempt 1: .*ValueError: no such card"):
                await job.result(timeout=10)
            assert await job.status() is JobState.FAILED

    asyncio.run(main())


def test_retries_until_it_works() -> None:
    app = new_app()

    @app.task(name="flaky", retry=AT_ONCE)
    def flaky() -> int:
        context = current_context()
        if context.attempt < context.max_attempts:
            raise ConnectionError("busy")
        return context.attempt

    async def main() -> None:
        async with working(app):
            job = await flaky.enqueue()
            assert await job.result(timeout=10) == 3
            assert [error.type for error in (await job.record()).errors] == ["builtins.ConnectionError"] * 2

    asyncio.run(main())


def test_some_errors_are_not_worth_another_try() -> None:
    app = new_app()

    @app.task(name="picky", retry=Retry(max_attempts=9, delays=(0.0,), give_up_on=(ValueError,)))
    async def picky() -> None:
        raise OSError if current_context().attempt == 1 else ValueError

    async def main() -> None:
        async with working(app):
            job = await picky.enqueue()
            with pytest.raises(JobExecutionError, match=r"attempt 2: .*ValueError"):
                await job.result(timeout=10)

    asyncio.run(main())


def test_too_long_is_a_failure_of_its_own_kind() -> None:
    app = new_app()

    @app.task(name="slow", timeout=0.05)
    async def slow() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        async with working(app):
            job = await slow.enqueue()
            with pytest.raises(TaskTimeoutError):
                await job.result(timeout=10)

    asyncio.run(main())


def test_a_task_may_say_how_it_ended() -> None:
    app = new_app()
    seen: list[int] = []

    @app.task(name="outcome", retry=AT_ONCE)
    async def outcome(kind: str) -> str:
        attempt = current_context().attempt
        if kind == "discard":
            raise DiscardJob("there is no such order")
        if kind == "cancel":
            raise CancelJob
        if kind == "retry" and attempt == 1:
            raise RetryJob("not yet", delay=0)
        if kind == "snooze" and not seen:
            seen.append(attempt)
            raise SnoozeJob(0.05)
        return f"attempt {attempt}"

    async def main() -> None:
        async with working(app):
            discarded, cancelled, retried, snoozed = await outcome.enqueue_many(
                [outcome.call(kind) for kind in ("discard", "cancel", "retry", "snooze")]
            )
            with pytest.raises(JobExecutionError, match="there is no such order"):
                await discarded.result(timeout=10)
            with pytest.raises(JobCancelled):
                await cancelled.result(timeout=10)
            assert await retried.result(timeout=10) == "attempt 2"
            assert await snoozed.result(timeout=10) == "attempt 1"  # a snooze does not count

    asyncio.run(main())


def test_a_result_that_cannot_be_stored_fails_the_job_with_that_reason() -> None:
    app = new_app()

    @app.task(name="odd")
    async def odd() -> object:
        return object()

    async def main() -> None:
        async with working(app):
            job = await odd.enqueue()
            with pytest.raises(JobExecutionError, match="result"):
                await job.result(timeout=10)

    asyncio.run(main())
